// What declared models call the objects that a guard needs.  If guard() has made them, the
// test passes the names that they have.

exports.names = {
	usersIndex: 'users_by_instance',
	usersKey: 'users_by_instance_and_id',
	usersKeyIsConstraint: false,
	sessionsIndex: 'sessions_by_instance',
	sessionsUser: 'sessions_user_of_instance',
	...JSON.parse(process.env.GUARD_NAMES ?? '{}'),
};
