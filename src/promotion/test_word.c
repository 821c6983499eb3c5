/*-------------------------------------------------------------------------
 *
 * test_word.c
 *	  Words that say that something is for tests, or of an environment that is
 *	  not production.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "promotion/check.h"

/* Words of a name, a host or a reference that say what it is for */
static const char *const test_words[] = {
	"test", "tests", "testing", "testmode", "apitest", "sandbox",
	"squareupsandbox", "playground", "staging", NULL
};

/* ... unless one of these comes just before: an A/B test is for customers */
static const char *const other_tests[] = {
	"ab", "b", "split", "no", "not", "non", "disable", "block", "reject", "refuse", NULL
};

/* What an environment may be called that is not production */
static const char *const environments[] = {
	"test", "tests", "testing", "testmode", "sandbox", "playground",
	"staging", "stage", "development", "dev", "uat", NULL
};

static bool has_word(const char *name, int len, const char *const *words);
static bool in_list(const char *word, const char *const *words);

/*
 * Does a name have a word that says that it is about tests?
 */
bool
ienv_has_test_word(const char *name, int len)
{
	return has_word(name, len, test_words);
}

/*
 * Does a name have a word that is another environment than production?
 */
bool
ienv_has_environment_word(const char *name, int len)
{
	return has_word(name, len, environments);
}

/*
 * Does a name have one of these words, and none of other_tests before it?
 */
static bool
has_word(const char *name, int len, const char *const *words)
{
	char		word[IENV_MAX_TEST_WORD];
	char		before[IENV_MAX_TEST_WORD] = "";
	const char *p = name;

	while (ienv_next_word(&p, name + len, word))
	{
		if (in_list(word, words) && !in_list(before, other_tests))
			return true;
		strcpy(before, word);
	}
	return false;
}

/*
 * The next word between *p and end, in lower case.  Words are of letters, and
 * bytes that are not ASCII; anything else is between words, and so is a change
 * to upper case.  Of a word that is too long only the beginning is returned.
 */
bool
ienv_next_word(const char **p, const char *end, char *word)
{
#define LETTER(c) (((c) >= 'a' && (c) <= 'z') || ((c) >= 'A' && (c) <= 'Z') || IS_HIGHBIT_SET(c))
#define UPPER(c) ((c) >= 'A' && (c) <= 'Z')
	const char *c = *p;
	int			len = 0;

	while (c < end && !LETTER(*c))
		c++;
	for (; c < end && LETTER(*c); c++)
	{
		/* testKey, and APITest */
		if (len > 0 && UPPER(*c) &&
			(!UPPER(c[-1]) ||
			 (c + 1 < end && LETTER(c[1]) && !UPPER(c[1]))))
			break;
		if (len < IENV_MAX_TEST_WORD - 1)
			word[len++] = pg_ascii_tolower((unsigned char) *c);
	}
	word[len] = '\0';
	*p = c;
	return len > 0;
}

static bool
in_list(const char *word, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}
