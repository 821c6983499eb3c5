/*-------------------------------------------------------------------------
 *
 * suffix_list.h
 *	  The Public Suffix List, for public_suffix.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_SUFFIX_LIST_H
#define IENV_SUFFIX_LIST_H

#include <libpsl.h>

/*
 * suffix_list.c: the list in use, until the next call; NULL if there is none
 */
extern const psl_ctx_t *ienv_suffix_list(void);

#endif							/* IENV_SUFFIX_LIST_H */
