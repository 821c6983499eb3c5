/*-------------------------------------------------------------------------
 *
 * host_names.h
 *	  The names by which it is told which instance of an application serves a
 *	  host.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_HOST_NAMES_H
#define IENV_HOST_NAMES_H

#include "domain/domain.h"

typedef struct IenvHostName
{
	const char *name;
	bool		mine;			/* of names: this application's; of roots: the
								 * whole root is */
} IenvHostName;

typedef struct IenvHosts
{
	pg_uuid_t	application;	/* hash key, must be first */
	bool		filled;
	bool		staging;
	uint64		list;			/* of public suffixes */
	char		slug[IENV_MAX_LABEL + 1];	/* of the development instance */
	pg_uuid_t	instances[2];	/* by IenvType */
	int			nnames;
	int			nroots;
	IenvHostName *names;		/* every application's domains below the
								 * roots, sorted */
	IenvHostName *roots;		/* of this application's domains, sorted */
} IenvHosts;

/*
 * host_names.c
 */
extern const IenvHosts *ienv_hosts_of(Datum application);
extern const IenvHostName *ienv_find_host_name(const IenvHostName *names,
											   int n, const char *name);

#endif							/* IENV_HOST_NAMES_H */
