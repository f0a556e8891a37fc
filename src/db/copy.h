/* Values as PostgreSQL sends them in binary, in results and in COPY: the bytes of a server that may
 * be anybody's. Types are given by their numbers there (pg_type), which never change. */
#ifndef DB_COPY_H
#define DB_COPY_H

#include "db/db.h"

/* What a column of that type is. */
enum db_type copy_type(uint32_t oid);
/* A value of that type, which borrows from `at`. What has a length that it cannot have is NULL. */
void copy_value(uint32_t oid, const uint8_t *at, uint32_t bytes, struct db_value *ret_value);
/* Bytes of the header that COPY begins with; 0: this is none. May be more than `bytes`. */
uint64_t copy_header(const uint8_t *at, size_t bytes);
/* A row of COPY into `count` values, which borrow from it. 1; 0 for the mark behind the last; -1:
 * damaged. */
int copy_row(const uint32_t *oids, uint32_t count, const uint8_t *at, size_t bytes,
             struct db_value *values);

#endif
