/*-------------------------------------------------------------------------
 *
 * slug.c
 *	  Names for development instances: two words and a number, as in
 *	  "foo-bar-13".
 *
 * The words are harmless in any combination.  Collisions are rare; on one,
 * another name is drawn, after several attempts with a larger number.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "registry/registry.h"

/* two digits make for some eight million names */
#define SHORT_NUMBERS	99
#define LONG_NUMBERS	9999999
#define SHORT_ATTEMPTS	8

static const char *const first_words[] = {
	"able", "agile", "airy", "alert", "amber", "ample", "apt", "arctic",
	"astral", "autumn", "azure", "balmy", "bold", "bonny", "brave", "breezy",
	"bright", "brisk", "bronze", "busy", "calm", "candid", "casual", "cedar",
	"cheery", "chief", "chill", "choice", "civic", "civil", "clean", "clear",
	"clever", "cobalt", "compact", "content", "cool", "copper", "coral",
	"cosmic", "cozy", "crisp", "crystal", "curious", "daily", "dandy",
	"dapper", "daring", "dawn", "deep", "deft", "dense", "devoted", "direct",
	"divine", "double", "dreamy", "driven", "dusky", "eager", "early",
	"earnest", "easy", "elder", "electric", "elegant", "emerald", "epic",
	"equal", "essential", "even", "exact", "exotic", "expert", "fabled",
	"factual", "fair", "famed", "fancy", "fast", "fertile", "festive", "fine",
	"firm", "first", "fit", "fleet", "flowing", "fluent", "flying", "fond",
	"frank", "free", "fresh", "frosty", "full", "funny", "gallant", "game",
	"gentle", "genuine", "gifted", "glad", "gleaming", "global", "golden",
	"good", "gracious", "grand", "great", "green", "handy", "happy", "hardy",
	"hazel", "hearty", "helpful", "honest", "hopeful", "humble", "ideal",
	"immense", "indigo", "inner", "ivory", "jade", "jaunty", "jazzy", "jolly",
	"jovial", "joyful", "just", "keen", "kind", "kindred", "large", "lasting",
	"lavish", "leading", "lemon", "level", "light", "lilac", "lime", "linen",
	"lively", "local", "lofty", "logical", "loyal", "lucid", "lucky", "lunar",
	"magic", "major", "maple", "marble", "marine", "mellow", "merry", "mighty",
	"mild", "minty", "modern", "modest", "moral", "mossy", "musical", "mutual",
	"natural", "neat", "nimble", "noble", "noted", "novel", "oaken", "ocean",
	"olive", "open", "optimal", "orange", "organic", "outer", "oval",
	"patient", "peaceful", "pearly", "perky", "placid", "plain", "playful",
	"pleasant", "plucky", "poetic", "polar", "polished", "polite", "prime",
	"prompt", "proper", "proud", "pure", "quaint", "quick", "quiet", "radiant",
	"rapid", "rare", "ready", "real", "regal", "robust", "rosy", "round",
	"royal", "ruby", "rustic", "sage", "sandy", "scenic", "secure", "sharp",
	"shining", "silent", "silken", "silver", "simple", "sincere", "sleek",
	"smart", "snowy", "social", "solar", "solid", "sound", "spring", "spry",
	"stable", "stately", "steady", "stellar", "still", "strong", "sturdy",
	"summer", "sunny", "super", "supple", "sure", "sweet", "swift", "tangy",
	"tidy", "topaz", "tranquil", "trim", "true", "trusty", "unique", "upbeat",
	"urban", "valid", "vast", "velvet", "vernal", "vibrant", "vital", "vivid",
	"warm", "welcome", "whole", "willing", "winter", "wise", "witty", "wooden",
	"worthy", "young", "zesty"
};

static const char *const second_words[] = {
	"acorn", "alder", "alpaca", "anchor", "antelope", "apple", "apricot",
	"arbor", "aspen", "aster", "atlas", "badger", "bamboo", "banjo", "basil",
	"basin", "bay", "bayou", "beacon", "beech", "beetle", "bell", "berry",
	"birch", "bison", "bluebird", "bobcat", "bonsai", "book", "breeze",
	"bridge", "brook", "buffalo", "bunny", "burrow", "butterfly", "cactus",
	"camel", "canary", "canoe", "canyon", "cape", "caribou", "carp", "castle",
	"cedar", "cello", "cheetah", "cherry", "chestnut", "chipmunk", "cicada",
	"citrus", "clam", "cliff", "cloud", "clover", "coast", "cobra", "comet",
	"condor", "coral", "cork", "cottage", "cougar", "cove", "coyote", "crane",
	"creek", "cricket", "crocus", "crow", "curlew", "cypress", "daisy", "dale",
	"deer", "delta", "desert", "dingo", "dolphin", "dove", "dragon", "drum",
	"duck", "dune", "eagle", "earwig", "elk", "elm", "ember", "emu", "falcon",
	"fawn", "feather", "fern", "ferret", "field", "finch", "fir", "firefly",
	"fjord", "flamingo", "flute", "forest", "fountain", "fox", "frog",
	"garden", "garnet", "gazelle", "gecko", "geyser", "gibbon", "ginger",
	"giraffe", "glacier", "glade", "glen", "goldfinch", "goose", "gopher",
	"grape", "grotto", "grouse", "grove", "gull", "hamster", "harbor", "hare",
	"harp", "hawk", "hazel", "heath", "hedgehog", "heron", "hickory", "hill",
	"hollow", "horizon", "hornet", "horse", "hound", "hyacinth", "ibex",
	"iguana", "impala", "inlet", "iris", "island", "ivy", "jackal", "jaguar",
	"jasmine", "jay", "juniper", "kangaroo", "kayak", "kelp", "kestrel",
	"kingfisher", "kite", "kiwi", "koala", "lagoon", "lake", "lantern",
	"larch", "lark", "laurel", "lemming", "lemur", "lentil", "lichen", "lilac",
	"lily", "linnet", "lion", "lizard", "llama", "lobster", "lotus", "lynx",
	"macaw", "magnolia", "magpie", "mallard", "mango", "mantis", "maple",
	"marlin", "marmot", "marten", "meadow", "meerkat", "melon", "mesa",
	"meteor", "minnow", "mole", "moose", "moss", "moth", "mountain", "mule",
	"mustang", "myrtle", "nebula", "newt", "nutmeg", "oak", "oasis", "ocelot",
	"octopus", "olive", "opal", "orca", "orchard", "orchid", "oriole",
	"osprey", "otter", "owl", "oyster", "palm", "panda", "panther", "papaya",
	"parrot", "peach", "peacock", "pear", "pebble", "pelican", "penguin",
	"peony", "perch", "pheasant", "piano", "pine", "plain", "planet", "plover",
	"plum", "pond", "pony", "poplar", "poppy", "prairie", "puffin", "quail",
	"quartz", "quince", "rabbit", "raccoon", "rain", "raven", "reef",
	"reindeer", "ridge", "river", "robin", "rose", "rowan", "saffron",
	"salmon", "sandpiper", "sapphire", "seal", "sequoia", "shark", "shore",
	"shrew", "silo", "skylark", "sloth", "snail", "sparrow", "spruce", "squid",
	"squirrel", "star", "starling", "stork", "stream", "sturgeon", "sun",
	"swan", "swift", "tapir", "tern", "thicket", "thistle", "thrush", "tiger",
	"timber", "topaz", "toucan", "trout", "tulip", "tundra", "turtle",
	"valley", "violet", "viper", "vole", "wallaby", "walnut", "walrus",
	"waterfall", "weasel", "whale", "willow", "wolf", "wombat", "wren", "yak",
	"zebra", "zephyr"
};

static uint32 random_below(uint32 limit);

/*
 * A name that may already be taken; attempt counts from 0.
 */
char *
ienv_random_slug(int attempt)
{
	return psprintf("%s-%s-%u",
					first_words[random_below(lengthof(first_words))],
					second_words[random_below(lengthof(second_words))],
					1 +
					random_below(attempt < SHORT_ATTEMPTS ? SHORT_NUMBERS :
								 LONG_NUMBERS));
}

static uint32
random_below(uint32 limit)
{
	uint32		number;

	if (!pg_strong_random(&number, sizeof(number)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	return number % limit;
}
