// TypeORM.  Besides "plain" and "declared": "retyped" is "declared" with other types of two
// columns, one of them the instance's.

const { DataSource, EntitySchema } = require('typeorm');

// A foreign key of two columns is a relation with two join columns.
function sessionUser(declared, names) {
	const column = (name, referencedColumnName) =>
		({ name, referencedColumnName, foreignKeyConstraintName: names.sessionsUser });

	return {
		type: 'many-to-one', target: 'User', onDelete: 'CASCADE',
		joinColumn: declared
			? [column('instance_id', 'instanceId'), column('user_id', 'id')]
			: { name: 'user_id' },
	};
}

// As a constraint, guard() would have it among the "uniques".
function userKeys(declared, names) {
	const index = { name: names.usersIndex, columns: ['instanceId'] };
	const key = { name: names.usersKey, columns: ['instanceId', 'id'] };

	if (!declared)
		return {};
	return names.usersKeyIsConstraint
		? { indices: [index], uniques: [key] }
		: { indices: [index, { ...key, unique: true }] };
}

function entities(variant, names) {
	const declared = variant !== 'plain';
	const retyped = variant === 'retyped';

	return {
		User: new EntitySchema({
			name: 'User', tableName: 'users',
			columns: {
				id: { type: 'uuid', primary: true, generated: 'uuid' },
				instanceId: { name: 'instance_id', type: retyped ? 'text' : 'uuid' },
				email: { type: 'text', nullable: true },
			},
			...userKeys(declared, names),
		}),
		Session: new EntitySchema({
			name: 'Session', tableName: 'sessions',
			columns: {
				id: { type: 'uuid', primary: true, generated: 'uuid' },
				userId: { name: 'user_id', type: 'uuid' },
				instanceId: { name: 'instance_id', type: retyped ? 'text' : 'uuid' },
			},
			relations: { user: sessionUser(declared, names) },
			indices: declared ? [{ name: names.sessionsIndex, columns: ['instanceId'] }] : [],
		}),
	};
}

module.exports = async (variant, names) => {
	const source = new DataSource({
		type: 'postgres', host: process.env.PGHOST, port: process.env.PGPORT,
		username: process.env.PGUSER, database: process.env.PGDATABASE,
		installExtensions: false, uuidExtension: 'pgcrypto',
		entities: Object.values(variant === 'documented' ? require('./typeorm_documented') : entities(variant, names)),
	});
	await source.initialize();

	const plan = async () => (await source.driver.createSchemaBuilder().log()).upQueries.map(q => q.query);
	return {
		plan,
		sync: async () => {
			const statements = await plan();
			await source.synchronize();
			return statements;
		},
		user: async (instanceId, id) => { await source.getRepository('User').insert({ instanceId, id }); },
		session: async (instanceId, userId) => { await source.getRepository('Session').insert({ instanceId, userId }); },
		close: () => source.destroy(),
	};
};
