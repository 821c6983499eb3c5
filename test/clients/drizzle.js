// Drizzle, and the push of drizzle-kit.  It does not see a unique index that a foreign key
// refers to, so that one is declared as a constraint; and it reads the columns of unique
// constraints and foreign keys in the order in which each table has them, so they are declared
// in that order.  So what guard() makes cannot be declared, only what it finds.

const { pushSchema } = require('drizzle-kit/api');
const { drizzle } = require('drizzle-orm/node-postgres');
const { foreignKey, index, pgTable, text, unique, uuid } = require('drizzle-orm/pg-core');
const pg = require('pg');

function tables(declared) {
	const users = pgTable('users', {
		id: uuid('id').primaryKey().defaultRandom(),
		instanceId: uuid('instance_id').notNull(),
		email: text('email'),
	}, table => declared ? [
		index('users_by_instance').on(table.instanceId),
		unique('users_by_id_and_instance').on(table.id, table.instanceId),
	] : []);
	const userId = uuid('user_id').notNull();
	const sessions = pgTable('sessions', {
		id: uuid('id').primaryKey().defaultRandom(),
		userId: declared ? userId : userId.references(() => users.id, { onDelete: 'cascade' }),
		instanceId: uuid('instance_id').notNull(),
	}, table => declared ? [
		index('sessions_by_instance').on(table.instanceId, table.userId),
		foreignKey({
			name: 'sessions_user_of_instance',
			columns: [table.userId, table.instanceId],
			foreignColumns: [users.id, users.instanceId],
		}).onDelete('cascade'),
	] : []);
	return { users, sessions };
}

module.exports = async variant => {
	const { users, sessions } = variant === 'documented'
		? require('./drizzle_documented')
		: tables(variant === 'declared');
	const pool = new pg.Pool();
	const db = drizzle(pool);

	// it draws its progress on the standard output
	const push = async () => {
		const write = process.stdout.write;
		process.stdout.write = () => true;
		try {
			return await pushSchema({ users, sessions }, db, ['public']);
		} finally {
			process.stdout.write = write;
		}
	};
	return {
		plan: async () => (await push()).statementsToExecute,
		sync: async () => {
			const { statementsToExecute, apply } = await push();
			await apply();
			return statementsToExecute;
		},
		user: async (instanceId, id) => { await db.insert(users).values({ instanceId, id }); },
		session: async (instanceId, userId) => { await db.insert(sessions).values({ instanceId, userId }); },
		close: () => pool.end(),
	};
};
