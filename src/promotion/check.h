/*-------------------------------------------------------------------------
 *
 * check.h
 *	  What the files of validate() share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_CHECK_H
#define IENV_CHECK_H

#include "promotion/promotion.h"
#include "registry/registry.h"

/*
 * The settings that production has or, if promotion clones settings, will
 * have: those that it has set itself are kept.
 */
#define IENV_EFFECTIVE_SETTINGS \
	"(SELECT name, value, false AS copied FROM instance_env.setting" \
	"  WHERE instance OPERATOR(pg_catalog.=) $1" \
	" UNION ALL SELECT s.name, s.value, true" \
	"  FROM instance_env.setting s JOIN instance_env.setting_section c" \
	"   ON c.cloned AND c.name OPERATOR(pg_catalog.=) pg_catalog.split_part(s.name, '.', 1)" \
	"  WHERE s.instance OPERATOR(pg_catalog.=) $2 AND NOT EXISTS" \
	"   (SELECT FROM instance_env.setting o WHERE o.instance OPERATOR(pg_catalog.=) $1" \
	"    AND o.name OPERATOR(pg_catalog.=) s.name))"

/* One run of validate(), with a snapshot that all of its queries use. */
typedef struct IenvValidation
{
	IenvInstance info;
	Datum		instance;
	Datum		external_key;
	Datum		application;
	Datum		development;	/* the application's development instance */
	char	   *plan;
	bool		with_development;	/* promotion would clone its configuration */
	List	   *checks;			/* of IenvCheck */
} IenvValidation;

/*
 * check.c: what all checks do
 */
extern void ienv_add_check(IenvValidation *run, const char *name,
						   const char *subject, IenvSeverity severity,
						   int sqlstate, bool passed, const char *message,
						   const char *hint);
extern uint64 ienv_read(const IenvValidation *run, const char *sql);
extern bool ienv_column_is_true(uint64 row, int column);

/*
 * check_registry.c: the instance and its configuration
 */
extern void ienv_check_status(IenvValidation *run);
extern void ienv_check_domains(IenvValidation *run);
extern void ienv_check_credentials(IenvValidation *run);
extern void ienv_check_plan(IenvValidation *run);
extern void ienv_check_settings(IenvValidation *run);
extern void ienv_check_keys(IenvValidation *run);

/*
 * check_test.c: what is for tests
 */
extern void ienv_check_test(IenvValidation *run);

/*
 * test_word.c: words, all of which are shorter than this
 */
#define IENV_MAX_TEST_WORD	32

extern bool ienv_has_test_word(const char *name, int len);
extern bool ienv_has_environment_word(const char *name, int len);
extern bool ienv_next_word(const char **p, const char *end, char *word);

/*
 * test_account.c: keys and accounts for tests, none of which is longer than
 * this
 */
#define IENV_MAX_TEST_KEY	2048

extern bool ienv_is_test_account(const char *text, bool billing);

/*
 * check_redirects.c: where settings redirect to
 */
extern void ienv_check_redirects(IenvValidation *run);

/*
 * check_guards.c: the guarded tables
 */
extern void ienv_check_guards(IenvValidation *run);

/*
 * check_usage.c: how full a development instance is
 */
extern void ienv_check_usage(IenvValidation *run);

#endif							/* IENV_CHECK_H */
