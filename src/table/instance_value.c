/*-------------------------------------------------------------------------
 *
 * instance_value.c
 *	  The values by which the rows of a guarded table name their instance.
 *
 * All functions of the extension take such a value in one of two forms: as the
 * uuid that is the instance's id, or as the text that is its external key.  A
 * column of another type holds external keys in a form of its own: char(n)
 * pads them with blanks, and an integer is written in decimal.  So a column's
 * value is converted when it is read from a row, and back before an index is
 * searched.  Different values of a column never become the same text, nor the
 * other way round.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"

#include "table/table.h"

static bool read_integer(Datum value, int64 *number);

/*
 * Can a column of this base type name an instance?
 */
bool
ienv_instance_type_ok(Oid type)
{
	switch (type)
	{
		case UUIDOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return true;
		default:
			return false;
	}
}

/*
 * Does a column of this base type hold ids or external keys as they are?
 */
bool
ienv_is_plain(Oid type)
{
	return type == UUIDOID || type == TEXTOID || type == VARCHAROID;
}

/*
 * The external key that a column of another base type names, given what is in
 * the column, not null.
 */
Datum
ienv_convert_column(Oid type, Datum column)
{
	char		digits[MAXINT8LEN + 1];

	switch (type)
	{
		case INT2OID:
			pg_itoa(DatumGetInt16(column), digits);
			break;
		case INT4OID:
			pg_ltoa(DatumGetInt32(column), digits);
			break;
		case INT8OID:
			pg_lltoa(DatumGetInt64(column), digits);
			break;
		case BPCHAROID:
			{
				BpChar	   *padded = DatumGetBpCharPP(column);
				int			len = VARSIZE_ANY_EXHDR(padded);

				len = bpchartruelen(VARDATA_ANY(padded), len);
				return PointerGetDatum(cstring_to_text_with_len(VARDATA_ANY(padded), len));
			}
		default:
			elog(ERROR, "type %u cannot name an instance", type);
	}
	return CStringGetTextDatum(digits);
}

/*
 * The reverse: what a column of this base type contains, as the default
 * operator class of the type compares it, in rows of the instance that value
 * names.  False if no row can name it.
 */
bool
ienv_column_of_value(Oid type, Datum value, Datum *column)
{
	int64		number;

	*column = value;
	switch (type)
	{
		case INT2OID:
			if (!read_integer(value, &number) ||
				number < PG_INT16_MIN || number > PG_INT16_MAX)
				return false;
			*column = Int16GetDatum((int16) number);
			return true;
		case INT4OID:
			if (!read_integer(value, &number) ||
				number < PG_INT32_MIN || number > PG_INT32_MAX)
				return false;
			*column = Int32GetDatum((int32) number);
			return true;
		case INT8OID:
			if (!read_integer(value, &number))
				return false;
			*column = Int64GetDatum(number);
			return true;
		case BPCHAROID:
			{
				text	   *key = DatumGetTextPP(value);
				int			len = VARSIZE_ANY_EXHDR(key);

				return bpchartruelen(VARDATA_ANY(key), len) == len;
			}
		default:
			return true;
	}
}

/*
 * An SQL expression for what a column of this base type contains in rows of an
 * instance, given its id as $1 and its external key, which is key, as $2.
 * NULL if no row can name it.
 */
const char *
ienv_sql_of_value(Oid type, Datum key)
{
	Datum		column;

	if (type == UUIDOID)
		return "$1";
	if (!ienv_column_of_value(type, key, &column))
		return NULL;
	return type == TEXTOID ? "$2" :
		psprintf("$2::pg_catalog.%s", ienv_name_of_type(type));
}

/*
 * The name in pg_catalog of a base type that can name an instance.
 */
const char *
ienv_name_of_type(Oid type)
{
	switch (type)
	{
		case UUIDOID:
			return "uuid";
		case VARCHAROID:
			return "varchar";
		case BPCHAROID:
			return "bpchar";
		case INT2OID:
			return "int2";
		case INT4OID:
			return "int4";
		case INT8OID:
			return "int8";
		default:
			return "text";
	}
}

/*
 * Read an integer that is written as ienv_value_of_column() writes it.
 */
static bool
read_integer(Datum value, int64 *number)
{
	text	   *key = DatumGetTextPP(value);
	int			len = VARSIZE_ANY_EXHDR(key);
	char		given[MAXINT8LEN + 1];
	char		written[MAXINT8LEN + 1];
	char	   *end;

	if (len == 0 || len > MAXINT8LEN)
		return false;
	memcpy(given, VARDATA_ANY(key), len);
	given[len] = '\0';
	errno = 0;
	*number = strtoi64(given, &end, 10);
	if (errno != 0)
		return false;
	pg_lltoa(*number, written);
	return strcmp(given, written) == 0;
}

/*
 * Do two values, neither of them null, name the same instance?
 */
bool
ienv_same_instance(const IenvGuard *guard, Datum a, Datum b)
{
	return datum_image_eq(a, b, false, guard->is_uuid ? UUID_LEN : -1);
}

/*
 * The instance that a row names.
 */
Datum
ienv_row_instance(const IenvGuard *guard, HeapTuple row, TupleDesc desc,
				  bool *isnull)
{
	Datum		column = heap_getattr(row, guard->instance_attno, desc,
									  isnull);

	return *isnull ? column :
		ienv_value_of_column(guard, column);
}

/*
 * Read the user key of a row into key, an array of IENV_MAX_KEY_COLUMNS.
 * False if a column of it is null: such a row is no user's.
 */
bool
ienv_row_key(const IenvGuard *guard, HeapTuple row, TupleDesc desc, Datum *key)
{
	for (int i = 0; i < guard->nkeys; i++)
	{
		bool		isnull;

		key[i] = heap_getattr(row, guard->key_attnos[i], desc, &isnull);
		if (isnull)
			return false;
	}
	return guard->nkeys > 0;
}
