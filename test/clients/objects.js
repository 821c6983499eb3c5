// The indexes and the foreign key that declared models have.  If guard() has made them, the
// test passes what they are, as GUARD_OBJECTS.

exports.objects = JSON.parse(process.env.GUARD_OBJECTS ?? 'null') ?? {
	users: [{ name: 'users_by_instance', columns: ['instance_id', 'id'], unique: true }],
	sessions: [{ name: 'sessions_by_instance', columns: ['instance_id', 'user_id'] }],
	sessionsUser: 'sessions_user_of_instance',
};
