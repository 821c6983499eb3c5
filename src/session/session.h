/*-------------------------------------------------------------------------
 *
 * session.h
 *	  Sessions bound to an instance, and which roles may be in which.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_SESSION_H
#define IENV_SESSION_H

#include "base/base.h"

/*
 * current.c: the instance that the session has entered
 */
extern void ienv_session_init(void);
extern void ienv_set_current(const pg_uuid_t *instance, bool local);

/*
 * access.c: a backend's cache of who may be in which instance
 */
typedef struct IenvAccessKey
{
	pg_uuid_t	instance;
	Oid			role;
} IenvAccessKey;

typedef struct IenvAccess
{
	IenvAccessKey key;			/* hash key, must be first */
	bool		filled;			/* false: filling it in has failed */
	bool		allowed;
	IenvType	type;
	IenvStatus	status;
	char	   *external_key;
	TransactionId xmin;			/* of the instance's row */
} IenvAccess;

extern const IenvAccess *ienv_access(const pg_uuid_t *instance, Oid role);
extern bool ienv_may_enter_any(Oid role);
extern bool ienv_key_has_changed(const IenvAccess *access);

#endif							/* IENV_SESSION_H */
