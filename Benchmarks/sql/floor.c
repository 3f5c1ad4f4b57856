/* The floor under the sqlite exporter: the rows of a database's table `spans`, put into another database with the same
 * schema by bare prepared statements, with the settings of the exporter's connection (SQLiteStore.swift).
 *
 *     cc -O2 -o floor floor.c -lsqlite3 && ./floor sluice.db copy.db [rows per transaction, 5000]
 *
 * All rows are read into memory first; the time is that of the inserts with their commits and checkpoints. */
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
    int kind;
    int size;
    int64_t integer;
    double real;
    const char *bytes;
} cell;

static sqlite3 *source, *target;

static void check(sqlite3 *db, int code) {
    if (code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW) return;
    fprintf(stderr, "floor: %s\n", sqlite3_errmsg(db));
    exit(1);
}

static void run(sqlite3 *db, const char *sql) { check(db, sqlite3_exec(db, sql, NULL, NULL, NULL)); }

static double seconds(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

/* Tables and indices as the exporter has made them. */
static void copy_schema(void) {
    sqlite3_stmt *statement;
    check(source, sqlite3_prepare_v2(
        source, "SELECT sql FROM sqlite_master WHERE type IN ('table', 'index') AND sql IS NOT NULL", -1, &statement,
        NULL));
    while (sqlite3_step(statement) == SQLITE_ROW) run(target, (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
}

static cell *load(int *columns, int *rows) {
    sqlite3_stmt *statement;
    check(source, sqlite3_prepare_v2(source, "SELECT * FROM spans ORDER BY rowid", -1, &statement, NULL));
    *columns = sqlite3_column_count(statement);
    *rows = 0;
    size_t room = 0;
    cell *cells = NULL;
    while (sqlite3_step(statement) == SQLITE_ROW) {
        size_t at = (size_t)*rows * *columns;
        if (at + *columns > room) {
            room = room ? room * 2 : 1 << 20;
            cells = realloc(cells, room * sizeof *cells);
            if (!cells) exit(1);
        }
        for (int column = 0; column < *columns; column++) {
            cell *to = &cells[at + column];
            to->kind = sqlite3_column_type(statement, column);
            to->integer = sqlite3_column_int64(statement, column);
            to->real = to->kind == SQLITE_FLOAT ? sqlite3_column_double(statement, column) : 0;
            if (to->kind == SQLITE_TEXT || to->kind == SQLITE_BLOB) {
                const void *bytes = sqlite3_column_blob(statement, column);
                to->size = sqlite3_column_bytes(statement, column);
                char *copy = malloc(to->size ? to->size : 1);
                if (!copy) exit(1);
                if (to->size) memcpy(copy, bytes, to->size);
                to->bytes = copy;
            }
        }
        ++*rows;
    }
    sqlite3_finalize(statement);
    return cells;
}

static void insert(const cell *cells, int columns, int rows, int per_transaction) {
    char sql[4096] = "INSERT OR IGNORE INTO spans VALUES (?";
    for (int column = 1; column < columns; column++) strcat(sql, ", ?");
    strcat(sql, ")");
    sqlite3_stmt *statement;
    check(target, sqlite3_prepare_v2(target, sql, -1, &statement, NULL));
    for (int row = 0; row < rows; row++) {
        if (row % per_transaction == 0) run(target, row ? "COMMIT; BEGIN IMMEDIATE" : "BEGIN IMMEDIATE");
        for (int column = 0; column < columns; column++) {
            const cell *from = &cells[(size_t)row * columns + column];
            switch (from->kind) {
            case SQLITE_INTEGER: sqlite3_bind_int64(statement, column + 1, from->integer); break;
            case SQLITE_FLOAT: sqlite3_bind_double(statement, column + 1, from->real); break;
            case SQLITE_TEXT: sqlite3_bind_text(statement, column + 1, from->bytes, from->size, SQLITE_STATIC); break;
            case SQLITE_BLOB: sqlite3_bind_blob(statement, column + 1, from->bytes, from->size, SQLITE_STATIC); break;
            default: sqlite3_bind_null(statement, column + 1);
            }
        }
        check(target, sqlite3_step(statement));
        sqlite3_reset(statement);
    }
    run(target, "COMMIT");
    sqlite3_finalize(statement);
}

int main(int count, char **arguments) {
    if (count < 3) {
        fprintf(stderr, "usage: floor DATABASE COPY [rows per transaction]\n");
        return 64;
    }
    int per_transaction = count > 3 ? atoi(arguments[3]) : 5000;
    check(source, sqlite3_open_v2(arguments[1], &source, SQLITE_OPEN_READONLY, NULL));
    check(target, sqlite3_open(arguments[2], &target));
    run(target, "PRAGMA page_size = 16384; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;"
                "PRAGMA synchronous = FULL; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 4096");
    copy_schema();
    int columns, rows;
    cell *cells = load(&columns, &rows);
    double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    insert(cells, columns, rows, per_transaction);
    wall = seconds(CLOCK_MONOTONIC) - wall;
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    printf("floor, %d rows a transaction: %d rows in %.2f s, %.2f CPU s: %.0f rows/s, %.0f per CPU second\n",
           per_transaction, rows, wall, cpu, rows / wall, rows / cpu);
    return 0;
}
