#pragma once
#include <libpq-fe.h>

/// SQLSTATE of a failed result, NULL when it came from the client library.
static inline const char *sluice_pq_sqlstate(const PGresult *result) {
    return PQresultErrorField(result, PG_DIAG_SQLSTATE);
}

/// The server's message without detail and statement, which may hold values of the row.
static inline const char *sluice_pq_message(const PGresult *result) {
    return PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
}

static inline void sluice_pq_ignore(void *context, const char *message) {
    (void)context;
    (void)message;
}

/// Notices of the server would go to standard error, and details and contexts, which quote values, into libpq's
/// messages.
static inline void sluice_pq_silence(PGconn *connection) {
    PQsetErrorVerbosity(connection, PQERRORS_TERSE);
    PQsetNoticeProcessor(connection, sluice_pq_ignore, NULL);
}
