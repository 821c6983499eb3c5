/*-------------------------------------------------------------------------
 *
 * check_test.c
 *	  The check of validate() that production uses nothing that is for tests.
 *
 * Names are judged by their words: "test_account" and "sandboxKey" are for
 * tests, "latest" and "testimonials" are not (test_word.c).  Values are judged
 * as a whole (test_account.c): a text that mentions tests is not for tests.
 *
 * In section test, every setting that is in use is for tests.  In section
 * integration, where a test need not be one of payments, only what payment
 * services have given out counts.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "base/base.h"
#include "base/errcodes.h"
#include "config/config.h"
#include "promotion/check.h"
#include "promotion/promotion.h"

/* Last words of the names of members that say which environment it is */
static const char *const environment_names[] = {"environment", "env", "mode", "account", NULL};

static void check_test(IenvValidation *run, const IenvRows *rows);
static bool setting_is_for_tests(const char *name, Jsonb *value);
static bool member_is_for_tests(const char *name, int len,
								const JsonbValue *value, bool billing);
static bool value_is_for_tests(const JsonbValue *value, bool billing);
static bool says_not_live(const char *name, int len, const JsonbValue *value);
static bool last_word_is(const char *name, int len, const char *const *words);

/*
 * Check that no setting is for tests, of those that production has or, by
 * promotion, would have.  A production instance may opt in to test identities,
 * but not unnoticed.
 */
void
ienv_check_test(IenvValidationSet *set)
{
	static IenvSetQuery query = {
		.sql = "SELECT t.n, t.name, t.value FROM (SELECT s.n, s.name, s.value"
		"  FROM " IENV_EFFECTIVE_SETTINGS " s"
		"  WHERE pg_catalog.split_part(s.name, '.', 1) OPERATOR(pg_catalog.=)"
		"   ANY ('{test,billing,integration}'::pg_catalog.text[])"
		"  UNION ALL SELECT v.n, NULL, NULL FROM " IENV_SET
		"  JOIN instance_env.policy_override p"
		"   ON p.instance OPERATOR(pg_catalog.=) v.instance"
		"  WHERE p.name OPERATOR(pg_catalog.=) 'test_identities'"
		"   AND p.value OPERATOR(pg_catalog.=) 'true') t"
		" ORDER BY t.n, t.name NULLS LAST"
	};

	ienv_judge(set, &query, check_test);
}

/*
 * Each row is a setting, or the last one, without a name, says that the
 * instance has opted in.
 */
static void
check_test(IenvValidation *run, const IenvRows *rows)
{
	if (rows->n == 0)
		ienv_add_check(run, "test", NULL, IENV_ERROR, 0, true,
					   "No setting is for tests.", NULL);
	for (uint64 i = 0; i < rows->n; i++)
	{
		const char *setting = ienv_row_text(rows, i, 1);
		bool		isnull;
		bool		failed;

		if (setting == NULL)
		{
			ienv_add_check(run, "test", "test_identities", IENV_WARNING, 0,
						   false,
						   psprintf("Production instance %s accepts test identities.",
									ienv_instance_text(run->instance, true)),
						   "Unless that is meant, call instance_env.reset_policy() for policy \"test_identities\".");
			continue;
		}
		failed = setting_is_for_tests(setting,
									  DatumGetJsonbP(ienv_row_datum(rows, i, 2,
																	&isnull)));
		ienv_add_check(run, "test", setting, IENV_ERROR,
					   ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, !failed,
					   psprintf(failed ? "Setting \"%s\" is for tests." :
								"Setting \"%s\" uses nothing that is for tests.", setting),
					   "Change it in the production instance with instance_env.set_setting().");
	}
}

static bool
setting_is_for_tests(const char *name, Jsonb *value)
{
	const char *dot = strchr(name, '.');
	bool		billing = strncmp(name, "billing.", 8) == 0;
	JsonbValue	root;

	if (!JsonbExtractScalar(&value->root, &root))
	{
		root.type = jbvBinary;
		root.val.binary.data = &value->root;
		root.val.binary.len = VARSIZE_ANY_EXHDR(value);
	}
	if (dot == NULL)
		return false;
	if (strncmp(name, "test.", 5) == 0)
		return ienv_in_use(&root);

	/* a name that goes on after another dot is a member of what is before it */
	if (billing && ienv_has_test_word(dot, strlen(dot)) &&
		ienv_in_use(&root))
		return true;
	dot = strrchr(name, '.');
	return member_is_for_tests(dot + 1, strlen(dot + 1), &root, billing);
}

/*
 * Is something of this name, be it a setting or a member of an object, for
 * tests?  In section billing, its name may say so.
 */
static bool
member_is_for_tests(const char *name, int len, const JsonbValue *value,
					bool billing)
{
	if (says_not_live(name, len, value))
		return true;
	if (billing && ienv_has_test_word(name, len) && ienv_in_use(value))
		return true;
	if (billing && value->type == jbvString &&
		last_word_is(name, len, environment_names) &&
		value->val.string.len < IENV_MAX_TEST_WORD &&
		ienv_has_environment_word(value->val.string.val,
								  value->val.string.len))
		return true;
	return value_is_for_tests(value, billing);
}

static bool
value_is_for_tests(const JsonbValue *value, bool billing)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	item;
	const char *name = NULL;
	int			len = 0;

	if (value->type == jbvString)
		return value->val.string.len <= IENV_MAX_TEST_KEY &&
			ienv_is_test_account(pnstrdup(value->val.string.val,
										  value->val.string.len), billing);
	if (value->type != jbvBinary ||
		ienv_switched_off(value->val.binary.data))
		return false;

	check_stack_depth();
	it = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			name = item.val.string.val;
			len = item.val.string.len;
		}
		else if (token == WJB_ELEM && value_is_for_tests(&item, billing))
			return true;
		else if (token == WJB_VALUE &&
				 member_is_for_tests(name, len, &item, billing))
			return true;
	}
	return false;
}

/*
 * Is this "livemode": false, or the same in other words?
 */
static bool
says_not_live(const char *name, int len, const JsonbValue *value)
{
	char		word[IENV_MAX_TEST_WORD];
	char		before[IENV_MAX_TEST_WORD] = "";
	char		last[IENV_MAX_TEST_WORD] = "";
	const char *p = name;

	if (value->type != jbvBool && value->type != jbvNumeric &&
		(value->type != jbvString || value->val.string.len == 0))
		return false;
	if (ienv_in_use(value))
		return false;
	while (ienv_next_word(&p, name + len, word))
	{
		strcpy(before, last);
		strcpy(last, word);
	}
	if (strcmp(last, "livemode") == 0)
		return true;
	if (strcmp(last, "mode") == 0)
		return strcmp(before, "live") == 0;
	return (strcmp(last, "live") == 0 || strcmp(last, "production") == 0) &&
		(*before == '\0' || strcmp(before, "is") == 0);
}

static bool
last_word_is(const char *name, int len, const char *const *words)
{
	char		word[IENV_MAX_TEST_WORD];
	char		last[IENV_MAX_TEST_WORD] = "";
	const char *p = name;

	while (ienv_next_word(&p, name + len, word))
		strcpy(last, word);
	for (; *words != NULL; words++)
		if (strcmp(last, *words) == 0)
			return true;
	return false;
}
