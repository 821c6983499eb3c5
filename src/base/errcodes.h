/*-------------------------------------------------------------------------
 *
 * errcodes.h
 *	  SQLSTATEs, which programs branch on.
 *
 * doc/reference.md says when each is raised, and a test compares the two.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_ERRCODES_H
#define IENV_ERRCODES_H

#include "utils/elog.h"

#define ERRCODE_IENV_USER_CAP_THRESHOLD		MAKE_SQLSTATE('0','1','I','0','1')
#define ERRCODE_IENV_SOFT_CAP_EXCEEDED		MAKE_SQLSTATE('0','1','I','0','2')
#define ERRCODE_IENV_USER_CAP_EXCEEDED		MAKE_SQLSTATE('2','3','I','0','1')
#define ERRCODE_IENV_TRANSFER_PROHIBITED	MAKE_SQLSTATE('2','3','I','0','2')
#define ERRCODE_IENV_UNKNOWN_INSTANCE		MAKE_SQLSTATE('2','3','I','0','3')
#define ERRCODE_IENV_INSTANCE_NOT_ACTIVE	MAKE_SQLSTATE('2','3','I','0','4')
#define ERRCODE_IENV_OWN_CREDENTIALS		MAKE_SQLSTATE('2','3','I','0','5')
#define ERRCODE_IENV_PROMOTION_BLOCKED		MAKE_SQLSTATE('5','5','I','0','1')
#define ERRCODE_IENV_PLAN_UPGRADE			MAKE_SQLSTATE('5','5','I','0','2')
#define ERRCODE_IENV_FEATURE_NOT_AVAILABLE	MAKE_SQLSTATE('5','5','I','0','3')
#define ERRCODE_IENV_MESSAGE_QUOTA			MAKE_SQLSTATE('5','5','I','0','4')
#define ERRCODE_IENV_DESTRUCTIVE_OPERATION	MAKE_SQLSTATE('5','5','I','0','5')
#define ERRCODE_IENV_INVALID_DOMAIN			MAKE_SQLSTATE('2','2','I','0','1')
#define ERRCODE_IENV_INVALID_TYPE			MAKE_SQLSTATE('2','2','I','0','2')
#define ERRCODE_IENV_SECRET_REFUSED			MAKE_SQLSTATE('2','2','I','0','3')

#endif							/* IENV_ERRCODES_H */
