/*-------------------------------------------------------------------------
 *
 * service_rule.c
 *	  What the names of the service can be.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "base/base.h"
#include "domain/domain.h"
#include "registry/registry.h"

/*
 * A host of the service has a slug or an instance's label before it, and more;
 * RFC 1035 leaves this much.
 */
#define MAX_SERVICE_HOST	128
#define MAX_PATH			200
#define MAX_MARKER			32
#define MAX_PREFIX			32
#define MAX_ELEMENTS		32

/* The length of an instance's own label: a uuid without hyphens */
#define INSTANCE_LABEL_LENGTH	32

#define LOWER	"abcdefghijklmnopqrstuvwxyz"
#define UPPER	"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS	"0123456789"

typedef const char *(*TextProblem) (const char *text);

static const char *text_problem(JsonbValue *value, TextProblem problem);
static const char *hosts_problem(JsonbValue *value);
static const char *records_problem(JsonbValue *value);
static const char *prefixes_problem(JsonbValue *value);
static const char *host_problem(const char *text);
static const char *label_problem(const char *text);
static const char *target_problem(const char *text);
static const char *path_problem(const char *text);
static const char *marker_problem(const char *text);
static const char *prefix_problem(const char *text);
static const char *labels_problem(const char *text, const char *allowed);

/* The names that have one text as their value */
static const struct
{
	const char *name;
	TextProblem problem;
}			texts[] = {
	{"development_domain", host_problem},
	{"frontend_api_label", label_problem},
	{"frontend_api_target", target_problem},
	{"oauth_callback_path", path_problem},
	{"portal_label", label_problem},
	{"portal_target", target_problem},
	{"test_email_marker", marker_problem}
};

/*
 * Why a value cannot be what is called so, as a sentence, or NULL if it can.
 */
const char *
ienv_service_problem(const char *name, JsonbValue *value)
{
	for (int i = 0; i < lengthof(texts); i++)
		if (strcmp(name, texts[i].name) == 0)
			return text_problem(value, texts[i].problem);
	if (strcmp(name, "service_domains") == 0)
		return hosts_problem(value);
	if (strcmp(name, "mail_records") == 0)
		return records_problem(value);
	if (strcmp(name, "publishable_key_prefixes") == 0 ||
		strcmp(name, "secret_key_prefixes") == 0)
		return prefixes_problem(value);
	if (strcmp(name, "legacy_key_prefixes") == 0)
		return value->type == jbvNull ? NULL : prefixes_problem(value);
	return "There is no such name.";
}

static const char *
text_problem(JsonbValue *value, TextProblem problem)
{
	if (value->type != jbvString)
		return "It must be a string.";
	return problem(pnstrdup(value->val.string.val, value->val.string.len));
}

/*
 * An array of hosts.
 */
static const char *
hosts_problem(JsonbValue *value)
{
	JsonbContainer *array;

	if (value->type != jbvBinary ||
		!JsonContainerIsArray(value->val.binary.data))
		return "It must be an array of domains.";
	array = value->val.binary.data;
	if (JsonContainerSize(array) > MAX_ELEMENTS)
		return psprintf("It has more than %d elements.", MAX_ELEMENTS);
	for (uint32 i = 0; i < JsonContainerSize(array); i++)
	{
		const char *problem =
		text_problem(getIthJsonbValueFromContainer(array, i),
					 host_problem);

		if (problem != NULL)
			return problem;
	}
	return NULL;
}

/*
 * An object of DNS records, with the hosts that they point to.
 */
static const char *
records_problem(JsonbValue *value)
{
	JsonbIterator *it;
	JsonbValue	member;
	const char *problem = NULL;

	if (value->type != jbvBinary ||
		!JsonContainerIsObject(value->val.binary.data))
		return "It must be an object.";
	if (JsonContainerSize(value->val.binary.data) > MAX_ELEMENTS)
		return psprintf("It has more than %d members.", MAX_ELEMENTS);
	it = JsonbIteratorInit(value->val.binary.data);
	(void) JsonbIteratorNext(&it, &member, false);
	while (problem == NULL && JsonbIteratorNext(&it, &member, true) == WJB_KEY)
	{
		problem = labels_problem(pnstrdup(member.val.string.val,
										  member.val.string.len),
								 LOWER DIGITS "-_");
		(void) JsonbIteratorNext(&it, &member, true);
		if (problem == NULL)
			problem = text_problem(&member, target_problem);
	}
	return problem;
}

/*
 * An object with a prefix for each type of instance.
 */
static const char *
prefixes_problem(JsonbValue *value)
{
	static const char *const types[] = {"development", "production"};

	if (value->type != jbvBinary ||
		!JsonContainerIsObject(value->val.binary.data) ||
		JsonContainerSize(value->val.binary.data) != lengthof(types))
		return "It must be an object of \"development\" and \"production\".";
	for (int i = 0; i < lengthof(types); i++)
	{
		JsonbValue *member =
		getKeyJsonValueFromContainer(value->val.binary.data, types[i],
									 strlen(types[i]), NULL);
		const char *problem = member == NULL ?
		psprintf("It does not have \"%s\".", types[i]) :
		text_problem(member, prefix_problem);

		if (problem != NULL)
			return problem;
	}
	return NULL;
}

/*
 * Labels of these characters with dots between them.
 */
static const char *
labels_problem(const char *text, const char *allowed)
{
	if (strlen(text) > MAX_SERVICE_HOST)
		return psprintf("A name is longer than %d characters.",
						MAX_SERVICE_HOST);
	for (const char *label = text;; label++)
	{
		size_t		length = strspn(label, allowed);

		if (length == 0 || label[0] == '-' || label[length - 1] == '-')
			return "A label is empty, or begins or ends with a hyphen or with a character that it cannot have.";
		if (length > IENV_MAX_LABEL)
			return psprintf("A label is longer than %d characters.",
							IENV_MAX_LABEL);
		label += length;
		if (*label == '\0')
			return NULL;
		if (*label != '.')
			return "It has characters other than lower-case letters, digits and hyphens.";
	}
}

/*
 * A host by the rules for what browsers send, and none below which strangers
 * register theirs.
 */
static const char *
host_problem(const char *text)
{
	const char *problem = labels_problem(text, LOWER DIGITS "-");
	char		host[IENV_MAX_DOMAIN + 1];

	if (problem == NULL)
		problem = ienv_host_problem(text, strlen(text), host);
	if (problem != NULL)
		return problem;
	if (strchr(text, '.') == NULL || ienv_is_ip_address(text))
		return "It is not a domain.";
	return ienv_is_registry(text) ?
		"It is a public suffix, below which others register their domains." :
		NULL;
}

static const char *
label_problem(const char *text)
{
	return strchr(text, '.') != NULL ? "It must be a single label." :
		labels_problem(text, LOWER DIGITS "-");
}

/*
 * A host, one label of which may be the instance's own.
 */
static const char *
target_problem(const char *text)
{
	const char *own = strstr(text, IENV_INSTANCE_LABEL);

	if (own == NULL)
		return host_problem(text);
	return host_problem(psprintf("%.*s%0*d%s", (int) (own - text), text,
								 INSTANCE_LABEL_LENGTH, 0,
								 own + strlen(IENV_INSTANCE_LABEL)));
}

static const char *
path_problem(const char *path)
{
	if (strlen(path) > MAX_PATH)
		return psprintf("It is longer than %d characters.", MAX_PATH);
	return path[0] != '/' || strstr(path, "//") != NULL ||
		strstr(path, "..") != NULL ||
		path[strspn(path, LOWER UPPER DIGITS "/-._~")] != '\0' ?
		"It must be an absolute path of letters, digits, hyphens, dots, underscores and tildes." :
		NULL;
}

/*
 * What ends the local part of an address: with a separator before it, so that
 * no ordinary address has it by accident.
 */
static const char *
marker_problem(const char *marker)
{
	if (strlen(marker) > MAX_MARKER)
		return psprintf("It is longer than %d characters.", MAX_MARKER);
	return strchr("+-._", marker[0]) == NULL || strlen(marker) < 2 ||
		strpbrk(marker, LOWER DIGITS) == NULL ||
		marker[strspn(marker, LOWER DIGITS "+-._")] != '\0' ?
		"It must be a plus sign, hyphen, dot or underscore with lower-case letters or digits after it." :
		NULL;
}

static const char *
prefix_problem(const char *prefix)
{
	Size		length = strlen(prefix);

	if (length > MAX_PREFIX)
		return psprintf("A prefix is longer than %d characters.", MAX_PREFIX);
	return length < 2 || strchr(LOWER, prefix[0]) == NULL ||
		prefix[length - 1] != '_' ||
		prefix[strspn(prefix, LOWER DIGITS "_")] != '\0' ?
		"A prefix must begin with a lower-case letter, end in an underscore, and have letters, digits and underscores between them." :
		NULL;
}
