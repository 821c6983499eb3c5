// TypeORM.  Besides "plain" and "declared": "retyped" is "declared" with other types of two
// columns, one of them the instance's.

const { DataSource, EntitySchema } = require('typeorm');

const properties = { id: 'id', instance_id: 'instanceId', user_id: 'userId' };

// A foreign key of two columns is a relation with two join columns.
function sessionUser(objects) {
	const column = (name, referencedColumnName) =>
		({ name, referencedColumnName, foreignKeyConstraintName: objects.sessionsUser });

	return {
		type: 'many-to-one', target: 'User', onDelete: 'CASCADE',
		joinColumn: objects.sessionsUser
			? [column('instance_id', 'instanceId'), column('user_id', 'id')]
			: { name: 'user_id' },
	};
}

// Unique constraints are among the "uniques", unique indexes among the "indices".
function keys(objects) {
	const named = objects.map(({ columns, ...rest }) => ({ ...rest, columns: columns.map(c => properties[c]) }));

	return {
		indices: named.filter(object => !object.constraint),
		uniques: named.filter(object => object.constraint),
	};
}

function entities(variant, declared) {
	const objects = variant === 'plain' ? { users: [], sessions: [] } : declared;
	const retyped = variant === 'retyped';

	return {
		User: new EntitySchema({
			name: 'User', tableName: 'users',
			columns: {
				id: { type: 'uuid', primary: true, generated: 'uuid' },
				instanceId: { name: 'instance_id', type: retyped ? 'text' : 'uuid' },
				email: { type: 'text', nullable: true },
			},
			...keys(objects.users),
		}),
		Session: new EntitySchema({
			name: 'Session', tableName: 'sessions',
			columns: {
				id: { type: 'uuid', primary: true, generated: 'uuid' },
				userId: { name: 'user_id', type: 'uuid' },
				instanceId: { name: 'instance_id', type: retyped ? 'text' : 'uuid' },
			},
			relations: { user: sessionUser(objects) },
			...keys(objects.sessions),
		}),
	};
}

module.exports = async (variant, objects) => {
	const source = new DataSource({
		type: 'postgres', host: process.env.PGHOST, port: process.env.PGPORT,
		username: process.env.PGUSER, database: process.env.PGDATABASE,
		installExtensions: false, uuidExtension: 'pgcrypto',
		entities: Object.values(variant === 'documented' ? require('./typeorm_documented') : entities(variant, objects)),
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
