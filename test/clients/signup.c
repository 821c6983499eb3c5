/*
 * signup INSTANCE EMAIL...
 *
 * Adds users to an instance through the pooler that PGHOST and PGPORT lead to, and says, in
 * the words of HTTP, what became of each.  Meanwhile it listens for warnings on a connection
 * of its own, past the pooler, to LISTEN_HOST and LISTEN_PORT.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#define FULL "{\"code\": \"user_quota_exceeded\", \"message\": \"You have reached your limit of users. " \
	"If you need more users, please use a Production instance.\"}"

static PGconn *
connect_to(const char *host, const char *port)
{
	const char *const names[] = {"host", "port", NULL};
	const char *const values[] = {host, port, NULL};
	PGconn	   *connection = PQconnectdbParams(names, values, 0);

	if (PQstatus(connection) != CONNECTION_OK)
	{
		fputs(PQerrorMessage(connection), stderr);
		exit(1);
	}
	return connection;
}

/* Runs a statement, and stores the SQLSTATE of its error, or "" if there is none. */
static void
run(PGconn *connection, const char *sql, const char *parameter, char state[6])
{
	const char *const parameters[] = {parameter};
	PGresult   *result = PQexecParams(connection, sql, parameter != NULL, NULL, parameters, NULL, NULL, 0);
	ExecStatusType status = PQresultStatus(result);
	const char *error = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	/* if the connection is lost, there is an error, but nobody to give it an SQLSTATE */
	if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
		error = "";
	else if (error == NULL)
		error = "08006";
	snprintf(state, 6, "%s", error);
	if (error[0] != '\0' && strcmp(error, "23I01") != 0)
		fputs(PQerrorMessage(connection), stderr);
	PQclear(result);
}

/* What is entered ends with the transaction. */
static const char *
sign_up(PGconn *pooled, const char *instance, const char *email)
{
	char		state[6];
	char		ignored[6];

	run(pooled, "BEGIN", NULL, state);
	if (state[0] == '\0')
		run(pooled, "SELECT instance_env.enter($1, local => true)", instance, state);
	if (state[0] == '\0')
		run(pooled, "INSERT INTO users (email) VALUES ($1)", email, state);
	if (state[0] == '\0')
		run(pooled, "COMMIT", NULL, state);
	if (state[0] == '\0')
		return "201";
	run(pooled, "ROLLBACK", NULL, ignored);
	return strcmp(state, "23I01") == 0 ? "403 " FULL : "500";
}

/* Prints what arrives until nothing has for so many milliseconds. */
static void
print_warnings(PGconn *listener, int milliseconds)
{
	struct pollfd socket = {PQsocket(listener), POLLIN, 0};

	do
	{
		PGnotify   *notification;

		if (!PQconsumeInput(listener))
		{
			fputs(PQerrorMessage(listener), stderr);
			return;
		}
		while ((notification = PQnotifies(listener)) != NULL)
		{
			puts(notification->extra);
			PQfreemem(notification);
		}
	} while (poll(&socket, 1, milliseconds) > 0);
}

int
main(int argc, char **argv)
{
	PGconn	   *listener = connect_to(getenv("LISTEN_HOST"), getenv("LISTEN_PORT"));
	PGconn	   *pooled = connect_to(NULL, NULL);
	char		state[6];

	run(listener, "LISTEN instance_env", NULL, state);
	for (int i = 2; i < argc; i++)
		puts(sign_up(pooled, argv[1], argv[i]));
	print_warnings(listener, 500);
	PQfinish(pooled);
	PQfinish(listener);
	return 0;
}
