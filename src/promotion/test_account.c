/*-------------------------------------------------------------------------
 *
 * test_account.c
 *	  Keys, URLs and accounts that payment services give out for tests.
 *
 * A text is judged as a whole.  The lists at the head of this file are from the
 * services' own documentation.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "promotion/check.h"
#include "registry/registry.h"

/* How keys for tests begin, and how much follows at least */
typedef struct TestKey
{
	const char *prefix;
	int			min_rest;
	bool		plain;			/* only letters and digits follow, one digit
								 * at least */
} TestKey;

static const TestKey test_keys[] = {
	{"sk_test_", 1, false},		/* Stripe, Paystack, and others */
	{"pk_test_", 1, false},
	{"rk_test_", 1, false},
	{"cs_test_", 1, false},
	{"whsec_test_", 1, false},
	{"sk_sbox_", 1, false},		/* Checkout.com */
	{"pk_sbox_", 1, false},
	{"rzp_test_", 1, false},	/* Razorpay */
	{"pdl_sdbx_", 1, false},	/* Paddle */
	{"sandbox-sq0", 1, false},	/* Square */
	{"EAAAl", 20, false},
	{"sandbox_", 8, false},		/* GoCardless, Braintree */
	{"sandbox-", 16, true},		/* Iyzico */
	{"test_", 6, true},			/* Mollie, Paddle, Chargebee, Adyen */
	{"TEST-", 8, false},		/* Mercado Pago */
	{"TEST", 16, true},			/* Adyen, Cashfree */
	{"klarna_test_", 1, false}, /* Klarna */
	{"skey_test_", 1, false},	/* Omise */
	{"pkey_test_", 1, false},
	{"cfsk_ma_test_", 1, false},	/* Cashfree */
	{"FLWPUBK_TEST-", 1, false},	/* Flutterwave */
	{"FLWSECK_TEST-", 1, false},
	{"xnd_development_", 1, false}, /* Xendit */
	{"xnd_public_development_", 1, false},
	{"SB-Mid-", 1, false},		/* Midtrans */
};

/* What keys of the service's own have after their prefix, at least */
#define MIN_OWN_KEY		16

/* Payment services whose hosts for tests count in section integration, too */
static const char *const services[] = {
	"paypal.com", "braintreegateway.com", "adyen.com", "klarna.com",
	"authorize.net", "cybersource.com", "squareupsandbox.com", "paddle.com",
	"gocardless.com", "chargebee.com", "recurly.com", "coinbase.com",
	"checkout.com", "lemonsqueezy.com", "worldpay.com", NULL
};

static bool is_test_key(const char *text);
static bool is_own_test_key(const char *text);
static bool is_test_url(const char *text, bool billing);
static bool is_test_reference(const char *text);
static bool ends_with(const char *text, const char *end);

/*
 * Is a text, as a whole, a key, a URL or an account for tests?  In section
 * billing, hosts of any service count, and where a key is kept.
 */
bool
ienv_is_test_account(const char *string, bool billing)
{
	char	   *trimmed = pstrdup(string + strspn(string, " \t\r\n"));
	int			len = strlen(trimmed);

	while (len > 0 && strchr(" \t\r\n", trimmed[len - 1]) != NULL)
		trimmed[--len] = '\0';
	if (strpbrk(trimmed, " \t\r\n") != NULL)
		return false;
	if (is_test_key(trimmed) || is_own_test_key(trimmed) ||
		is_test_url(trimmed, billing))
		return true;
	/* PayPal */
	if (strncmp(trimmed, "sb-", 3) == 0 &&
		(ends_with(trimmed, "@business.example.com") ||
		 ends_with(trimmed, "@personal.example.com")))
		return true;
	return billing && is_test_reference(trimmed);
}

static bool
is_test_key(const char *string)
{
	for (int i = 0; i < lengthof(test_keys); i++)
	{
		const TestKey *key = &test_keys[i];
		const char *rest = string + strlen(key->prefix);

		if (strncmp(string, key->prefix, strlen(key->prefix)) != 0 ||
			strlen(rest) < key->min_rest)
			continue;
		if (!key->plain)
			return true;
		if (strpbrk(rest, "0123456789") != NULL &&
			strspn(rest, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(rest))
			return true;
	}
	return false;
}

/*
 * Is this a key of the service's own for a development instance?  Another name
 * may begin like one, if the prefix is that of the company: "acme_staff".
 */
static bool
is_own_test_key(const char *text)
{
	const IenvService *service = ienv_service();
	const char *prefixes[] = {
		service->publishable[IENV_DEVELOPMENT],
		service->secret[IENV_DEVELOPMENT]
	};

	for (int i = 0; i < lengthof(prefixes); i++)
		if (strncmp(text, prefixes[i], strlen(prefixes[i])) == 0 &&
			strlen(text) >= strlen(prefixes[i]) + MIN_OWN_KEY)
			return true;
	return false;
}

/*
 * Is this a URL or a host of a service's environment for tests?  The registered
 * domain itself does not count, unless it is a payment service's.
 */
static bool
is_test_url(const char *text, bool billing)
{
	const char *scheme = strstr(text, "://");
	char	   *host = pstrdup(scheme != NULL ? scheme + 3 : text);
	const char *path = "";
	char	   *end = strpbrk(host, "/?#");
	char	   *at;
	char	   *domain;
	bool		known = false;

	if (end != NULL)
	{
		path = pstrdup(end);
		*end = '\0';
	}
	if ((at = strrchr(host, '@')) != NULL)
	{
		if (scheme == NULL)
			return false;		/* an e-mail address */
		host = at + 1;
	}
	host[strcspn(host, ":")] = '\0';
	for (char *c = host; *c != '\0'; c++)
		*c = pg_ascii_tolower((unsigned char) *c);
	if (strchr(host, '.') == NULL || strstr(host, "..") != NULL)
		return false;

	if (strcmp(host, "stripe.com") == 0 || ends_with(host, ".stripe.com"))
		return strncmp(path, "/test/", 6) == 0 || strstr(path, "/test_") != NULL;
	for (int i = 0; services[i] != NULL; i++)
		known = known || strcmp(host, services[i]) == 0 ||
			(ends_with(host, services[i]) &&
			 host[strlen(host) - strlen(services[i]) - 1] == '.');
	if (known)
		return ienv_has_test_word(host, strlen(host));
	if (!billing)
		return false;
	if (scheme != NULL && ends_with(host, ".test"))
		return true;
	domain = strrchr(host, '.');
	if (domain[1] < 'a' || domain[1] > 'z')
		return false;			/* a number, or an address */
	while (domain > host && domain[-1] != '.')
		domain--;
	return ienv_has_test_word(host, domain - host);
}

/*
 * Is this where a key for tests is kept: STRIPE_TEST_KEY, env:SANDBOX_KEY,
 * vault:shop/test/stripe?
 */
static bool
is_test_reference(const char *string)
{
	size_t		scheme = strspn(string, "abcdefghijklmnopqrstuvwxyz");
	size_t		variable = strspn(string, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

	if (scheme > 0 && string[scheme] == ':')
	{
		if (strncmp(string, "http", 4) == 0 || strncmp(string, "mailto:", 7) == 0 ||
			strncmp(string, "data:", 5) == 0)
			return false;
		return ienv_has_test_word(string + scheme, strlen(string + scheme));
	}
	return string[variable] == '\0' && strchr(string, '_') != NULL &&
		ienv_has_test_word(string, variable);
}

static bool
ends_with(const char *string, const char *end)
{
	size_t		len = strlen(string);

	return len >= strlen(end) && strcmp(string + len - strlen(end), end) == 0;
}
