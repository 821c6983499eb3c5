// run.js CLIENT VARIANT ACTION...
//
// Performs actions in the database that PGDATABASE names, with the models of a client, and
// says what became of each:
//
//	plan				what synchronisation would do, where the client can say so
//	sync				synchronise, and what was done
//	user INSTANCE ID		add a user
//	session INSTANCE USER		add a session of that user
//
// VARIANT says which models: "plain" ones know nothing of what guard() has made; "declared"
// ones have it all; "documented" ones are those in doc/adopting.md.  Others are described
// with each client.

const { objects } = require('./objects');

async function main() {
	const [, , client, variant, ...actions] = process.argv;
	const models = await require(`./${client}`)(variant, objects);

	while (actions.length > 0) {
		const action = actions.shift();
		const args = action === 'user' || action === 'session' ? actions.splice(0, 2) : [];
		try {
			for (const statement of (await models[action](...args)) ?? [])
				console.log(`${action}: ${statement.replace(/\s+/g, ' ').trim()}`);
			console.log(`${action}: done`);
		} catch (error) {
			// each client has its own name for the driver's error
			const cause = error.driverError ?? error.parent ?? error.cause ?? error;
			console.log(`${action}: ${cause.code} ${cause.message}${cause.constraint ? ` (${cause.constraint})` : ''}`);
		}
	}
	await models.close();
}

main().catch(error => {
	console.error(error);
	process.exit(1);
});
