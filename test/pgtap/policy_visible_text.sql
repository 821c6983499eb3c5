-- What people see of a development instance's banner and message prefix: it cannot be emptied,
-- hidden or reversed, in any script
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(175);

SELECT instance_env.create_application('shop',
	development_id => 'd0000000-0000-4000-8000-000000000001',
	production_id => 'a0000000-0000-4000-8000-000000000001') \gset

-- what set_policy() says of a text: NULL if it takes it
CREATE FUNCTION pg_temp.problem(policy text, value text, instance uuid DEFAULT 'd0000000-0000-4000-8000-000000000001') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	PERFORM instance_env.set_policy(instance, policy, to_jsonb(value));
	RETURN NULL;
EXCEPTION WHEN invalid_parameter_value THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN detail;
END $$;

CREATE TEMP TABLE texts (what text, value text, problem text);
INSERT INTO texts SELECT what, value, 'It must contain a letter or a digit.' FROM (VALUES
	('nothing', ''), ('a space', ' '), ('punctuation', '[]-.!'), ('U+00A0 no-break space', E'\u00a0'), ('U+3000 ideographic space', E'\u3000'),
	('U+2002 en space', E'\u2002'), ('U+202F narrow no-break space', E'\u202f'), ('U+205F mathematical space', E'\u205f'),
	('U+1680 ogham space', E'\u1680'), ('U+0301 combining acute', E'\u0301'), ('U+034F grapheme joiner', E'\u034f'),
	('U+20DD enclosing circle', E'\u20dd'), ('U+FE0F variation selector', E'\ufe0f'), ('U+E0100 variation selector', E'\U000e0100'),
	('U+115F hangul choseong filler', E'\u115f'), ('U+1160 hangul jungseong filler', E'\u1160'), ('U+3164 hangul filler', E'\u3164'),
	('U+FFA0 halfwidth hangul filler', E'\uffa0'), ('U+2800 braille blank', E'\u2800'), ('U+17B4 khmer inherent vowel', E'\u17b4'),
	('U+200C ZWNJ', E'\u200c'), ('U+200D ZWJ', E'\u200d'), ('U+200E LRM', E'\u200e'), ('U+FFFC object', E'\ufffc'), ('U+FFFD replacement', E'\ufffd'),
	('U+E000 private use', E'\ue000'), ('U+10FFFF nobody''s', E'\U0010ffff'), ('U+FFFF no character', E'\uffff'),
	('an emoji', '🚧'), ('symbols', '€™→'), ('many blanks', E'\u3164 \u00a0\u2800\u0301')) v (what, value);
INSERT INTO texts SELECT what, value, 'It must not contain characters that are invisible or change the direction of text.' FROM (VALUES
	('U+200B zero-width space', E'\u200b'), ('U+00AD soft hyphen', E'\u00ad'), ('U+2060 word joiner', E'\u2060'), ('U+FEFF', E'\ufeff'),
	('U+180E mongolian vowel separator', E'\u180e'), ('U+202E override', E'\u202e'), ('U+202E override, before words', E'\u202enoitcudorp'),
	('U+202D override, within', E'De\u202dvelopment'), ('U+202A embedding', E'x\u202ax'), ('U+202C pop', E'x\u202c'), ('U+2067 isolate', E'\u2067Development\u2069'),
	('U+2064 invisible plus', E'1\u20641'), ('U+206F deprecated', E'x\u206f'), ('U+E0041 tag', E'x\U000e0041'), ('U+E0001 language tag', E'x\U000e0001'),
	('U+FFF9 annotation', E'x\ufff9y\ufffaz\ufffb'), ('U+2028 line separator', E'x\u2028y'), ('U+2029 paragraph separator', E'x\u2029y'),
	('U+0085 next line', E'x\u0085y'), ('U+0080 control', E'x\u0080'), ('U+009F control', E'\u009fx')) v (what, value);
INSERT INTO texts SELECT what, value, 'It must not contain control characters.' FROM (VALUES
	('a newline', E'x\ny'), ('a tab', E'x\ty'), ('ESC', E'\x1b[8mDevelopment'), ('a backspace', E'x\x08'), ('DEL', E'x\x7f')) v (what, value);
INSERT INTO texts SELECT what, value, NULL FROM (VALUES
	('Latin', 'é'), ('Greek', 'Ω'), ('Cyrillic', 'Разработка'), ('Hebrew', 'פיתוח'), ('Arabic', 'تطوير'), ('Devanagari', 'विकास'), ('Thai', 'การพัฒนา'),
	('Georgian', 'განვითარება'), ('Amharic', 'ልማት'), ('Cherokee', 'ᏣᎳᎩ'), ('Chinese', '开发'), ('Japanese', 'かいはつ'), ('Korean', '개발'), ('Khmer', 'អភិវឌ្ឍ'),
	('an old script', E'\U00010330'), ('Chinese of a later plane', E'\U00020000'), ('Persian, with ZWNJ', E'می\u200cخواهم'), ('Hebrew, with LRM', E'פיתוח\u200e 1'),
	('Arabic digits', '٣'), ('a Roman numeral', 'Ⅷ'), ('a fraction', '½'), ('a digit', '1'), ('a letter of full width', 'Ａ'), ('a decomposed letter', E'e\u0301'),
	('emoji and a word', '🚧 Development 👩‍💻'), ('words and no-break spaces', E'Development\u00a0: ')) v (what, value);
SELECT is(pg_temp.problem(policy, value), problem, policy || ': ' || what) FROM unnest('{banner,message_prefix}'::text[]) policy, texts;
SELECT is(instance_env.message_prefix('d0000000-0000-4000-8000-000000000001') <> '', true, 'the prefix is never empty');
SELECT is(instance_env.prefix_message('d0000000-0000-4000-8000-000000000001', 'sms', E'\u200b'), E'Development\u00a0: \u200b',
	'what a message contains is not asked');

-- texts of several lines, in production

SELECT is(pg_temp.problem('robots_txt', value, 'a0000000-0000-4000-8000-000000000001'), problem, 'robots_txt: ' || coalesce(problem, 'taken')) FROM (VALUES
	(E'User-agent: *\nAllow: /\n', NULL), (E'\n\n', 'It must contain a letter or a digit.'), (E'\u3164\n', 'It must contain a letter or a digit.'),
	(E'User-agent: *\u2028', 'It must not contain characters that are invisible or change the direction of text.'),
	(E'User-agent: *\r\n', 'It must not contain control characters other than newlines.'),
	(repeat('ü', 1025), 'It must not be longer than 2048 bytes.'), (repeat('ü', 1024), NULL)) v (value, problem);

SELECT * FROM finish();
ROLLBACK;
