// signup.js INSTANCE EMAIL...
//
// Adds users to an instance through the pooler that PGHOST and PGPORT lead to, and says, in
// the words of HTTP, what became of each.  Meanwhile it listens for warnings on a connection
// of its own, past the pooler, to LISTEN_HOST and LISTEN_PORT.

const { Client, Pool } = require('pg');
const { setTimeout } = require('timers/promises');

const full = {
    code: 'user_quota_exceeded',
    message: 'You have reached your limit of users. If you need more users, please use a Production instance.'
};

async function signUp(pool, instance, email) {
    const client = await pool.connect();
    try {
        await client.query('BEGIN');            // what is entered ends with the transaction
        await client.query('SELECT instance_env.enter($1, local => true)', [instance]);
        await client.query('INSERT INTO users (email) VALUES ($1)', [email]);
        await client.query('COMMIT');
        return '201';
    } catch (error) {
        await client.query('ROLLBACK');
        if (error.code === '23I01')
            return `403 ${JSON.stringify(full)}`;
        throw error;
    } finally {
        client.release();
    }
}

async function listen(warn) {
    const listener = new Client({ host: process.env.LISTEN_HOST, port: process.env.LISTEN_PORT });
    listener.on('notification', notification => warn(JSON.parse(notification.payload)));
    await listener.connect();
    await listener.query('LISTEN instance_env');
    return listener;
}

async function main() {
    const [, , instance, ...emails] = process.argv;
    const warnings = [];
    const listener = await listen(warning => warnings.push(warning));
    const pool = new Pool();

    for (const email of emails)
        console.log(await signUp(pool, instance, email));
    await setTimeout(500);
    for (const { application, users, cap, percent } of warnings)
        console.log(`${application}: ${users} of ${cap} users, ${percent} %`);
    await Promise.all([listener.end(), pool.end()]);
}

main().catch(error => {
    console.error(error);
    process.exit(1);
});
