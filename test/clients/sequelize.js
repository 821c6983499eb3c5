// Sequelize.  Its models have no foreign keys of two columns: guard() makes that one.  Besides
// "plain" and "declared", which synchronise with { alter: { drop: false } }: "alter" is plain
// with { alter: true }, and "session" is that for sessions alone.

const fs = require('fs');
const { DataTypes, Sequelize } = require('sequelize');

function define(sequelize, objects) {
	const indexes = list => list.map(({ name, columns, unique }) => ({ name, fields: columns, unique }));
	const id = { type: DataTypes.UUID, primaryKey: true, defaultValue: Sequelize.literal('gen_random_uuid()') };
	const instanceId = { type: DataTypes.UUID, allowNull: false, field: 'instance_id' };
	const User = sequelize.define('User', { id, instanceId, email: DataTypes.TEXT }, {
		tableName: 'users',
		indexes: indexes(objects.users),
	});
	const userId = { type: DataTypes.UUID, allowNull: false, field: 'user_id' };
	const Session = sequelize.define('Session', { id, userId, instanceId }, {
		tableName: 'sessions',
		indexes: indexes(objects.sessions),
	});
	Session.belongsTo(User, { foreignKey: 'userId', onDelete: 'CASCADE' });
	return { User, Session };
}

module.exports = async (variant, objects) => {
	const statements = [];
	const sequelize = new Sequelize(process.env.PGDATABASE, process.env.PGUSER, '', {
		dialect: 'postgres', host: process.env.PGHOST, port: process.env.PGPORT,
		define: { timestamps: false },
		logging: text => {
			const statement = text.replace(/^Executing \([^)]*\): /, '');
			if (/^(ALTER|CREATE|DROP)/.test(statement))
				statements.push(statement);
		},
	});
	const documented = fs.readFileSync(`${__dirname}/sequelize_documented.js`, 'utf8');
	const { User, Session } = variant === 'documented'
		? new Function('sequelize', 'Sequelize', 'DataTypes', `${documented}; return { User, Session };`)(sequelize, Sequelize, DataTypes)
		: define(sequelize, variant === 'declared' ? objects : { users: [], sessions: [] });

	return {
		sync: async () => {
			statements.length = 0;
			if (variant === 'alter')
				await sequelize.sync({ alter: true });
			else if (variant === 'session')
				await Session.sync({ alter: true });
			else
				await sequelize.sync({ alter: { drop: false } });
			// it says so each time
			return statements.filter(s => !s.startsWith('CREATE TABLE IF NOT EXISTS'));
		},
		// what the document says to do where columns are to be altered
		between: () => {
			const text = fs.readFileSync(`${__dirname}/sequelize_between.js`, 'utf8');
			return new Function('sequelize', `return (async () => { ${text} })();`)(sequelize);
		},
		user: async (instanceId, id) => { await User.create({ instanceId, id }); },
		session: async (instanceId, userId) => { await Session.create({ instanceId, userId }); },
		close: () => sequelize.close(),
	};
};
