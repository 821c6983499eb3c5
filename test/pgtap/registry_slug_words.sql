-- The words of slugs: each of them comes, and no other
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(5);

CREATE TEMP TABLE words AS
SELECT place, regexp_split_to_table(btrim(list, E' \t\n'), E'[ \t\n]+') COLLATE "C" AS word FROM (VALUES
(1, '
	able agile airy alert amber ample apt arctic astral autumn azure balmy bold bonny brave breezy
	bright brisk bronze busy calm candid casual cedar cheery chief chill choice civic civil clean
	clear clever cobalt compact content cool copper coral cosmic cozy crisp crystal curious daily
	dandy dapper daring dawn deep deft dense devoted direct divine double dreamy driven dusky
	eager early earnest easy elder electric elegant emerald epic equal essential even exact exotic
	expert fabled factual fair famed fancy fast fertile festive fine firm first fit fleet flowing
	fluent flying fond frank free fresh frosty full funny gallant game gentle genuine gifted glad
	gleaming global golden good gracious grand great green handy happy hardy hazel hearty helpful
	honest hopeful humble ideal immense indigo inner ivory jade jaunty jazzy jolly jovial joyful
	just keen kind kindred large lasting lavish leading lemon level light lilac lime linen lively
	local lofty logical loyal lucid lucky lunar magic major maple marble marine mellow merry
	mighty mild minty modern modest moral mossy musical mutual natural neat nimble noble noted
	novel oaken ocean olive open optimal orange organic outer oval patient peaceful pearly perky
	placid plain playful pleasant plucky poetic polar polished polite prime prompt proper proud
	pure quaint quick quiet radiant rapid rare ready real regal robust rosy round royal ruby
	rustic sage sandy scenic secure sharp shining silent silken silver simple sincere sleek smart
	snowy social solar solid sound spring spry stable stately steady stellar still strong sturdy
	summer sunny super supple sure sweet swift tangy tidy topaz tranquil trim true trusty unique
	upbeat urban valid vast velvet vernal vibrant vital vivid warm welcome whole willing winter
	wise witty wooden worthy young zesty'), (2, '
	acorn alder alpaca anchor antelope apple apricot arbor aspen aster atlas badger bamboo banjo
	basil basin bay bayou beacon beech beetle bell berry birch bison bluebird bobcat bonsai book
	breeze bridge brook buffalo bunny burrow butterfly cactus camel canary canoe canyon cape
	caribou carp castle cedar cello cheetah cherry chestnut chipmunk cicada citrus clam cliff
	cloud clover coast cobra comet condor coral cork cottage cougar cove coyote crane creek
	cricket crocus crow curlew cypress daisy dale deer delta desert dingo dolphin dove dragon drum
	duck dune eagle earwig elk elm ember emu falcon fawn feather fern ferret field finch fir
	firefly fjord flamingo flute forest fountain fox frog garden garnet gazelle gecko geyser
	gibbon ginger giraffe glacier glade glen goldfinch goose gopher grape grotto grouse grove gull
	hamster harbor hare harp hawk hazel heath hedgehog heron hickory hill hollow horizon hornet
	horse hound hyacinth ibex iguana impala inlet iris island ivy jackal jaguar jasmine jay
	juniper kangaroo kayak kelp kestrel kingfisher kite kiwi koala lagoon lake lantern larch lark
	laurel lemming lemur lentil lichen lilac lily linnet lion lizard llama lobster lotus lynx
	macaw magnolia magpie mallard mango mantis maple marlin marmot marten meadow meerkat melon
	mesa meteor minnow mole moose moss moth mountain mule mustang myrtle nebula newt nutmeg oak
	oasis ocelot octopus olive opal orca orchard orchid oriole osprey otter owl oyster palm panda
	panther papaya parrot peach peacock pear pebble pelican penguin peony perch pheasant piano
	pine plain planet plover plum pond pony poplar poppy prairie puffin quail quartz quince rabbit
	raccoon rain raven reef reindeer ridge river robin rose rowan saffron salmon sandpiper
	sapphire seal sequoia shark shore shrew silo skylark sloth snail sparrow spruce squid squirrel
	star starling stork stream sturgeon sun swan swift tapir tern thicket thistle thrush tiger
	timber topaz toucan trout tulip tundra turtle valley violet viper vole wallaby walnut walrus
	waterfall weasel whale willow wolf wombat wren yak zebra zephyr')) v (place, list);

-- Instances do not come to be until so many slugs were drawn that the chance is one in ten
-- billions that one of the words was not.
CREATE SEQUENCE draws;
CREATE TEMP TABLE drawn (slug text COLLATE "C");
CREATE FUNCTION pg_temp.draw() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO pg_temp.drawn VALUES (NEW.slug);
	RETURN CASE WHEN nextval('public.draws') = 9000 THEN NEW END;
END $$;
CREATE TRIGGER draw BEFORE INSERT ON instance_env.instance FOR EACH ROW WHEN (NEW.slug IS NOT NULL) EXECUTE FUNCTION pg_temp.draw();
SELECT instance_env.create_application('shop') \gset

SELECT is_empty(format('SELECT word FROM words WHERE place = %s EXCEPT SELECT split_part(slug, ''-'', %1$s) FROM drawn', place),
	'each comes, of those at place ' || place) FROM generate_series(1, 2) place;
SELECT is_empty(format('SELECT split_part(slug, ''-'', %s) FROM drawn EXCEPT SELECT word FROM words WHERE place = %1$s', place),
	'and no other at place ' || place) FROM generate_series(1, 2) place;

SELECT is((SELECT count(*) FROM drawn WHERE slug ~ '^[a-z]+-[a-z]+-[1-9][0-9]{0,6}$'), 9000::bigint, 'two words and a number');

SELECT * FROM finish();
ROLLBACK;
