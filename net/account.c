/*
 * Accounts: what the connections of one member have in common at one listener. Shares are counted there, so more
 * connections or more certificates of one name give nobody more. A plain connection has an account of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "net/net_internal.h"

static bool same_member(const struct net_member *a, const struct net_member *b) {
    return strcmp(a->organisation, b->organisation) == 0 && strcmp(a->role, b->role) == 0 &&
           strcmp(a->name, b->name) == 0;
}

static struct net_account *find(struct net_hub *hub, const struct net_member *member) {
    for (struct net_account *account = hub->accounts; member != NULL && account != NULL; account = account->next)
        if (account->named && same_member(&account->member, member))
            return account;
    return NULL;
}

/* Gives the connection its account. False: no memory. */
static bool join(struct net_conn *conn) {
    struct net_hub *hub = conn->hub;
    const struct net_member *member = conn->tls == NULL ? NULL : net_tls_member(conn->tls);
    struct net_account *account = find(hub, member);
    if (account == NULL) {
        account = calloc(1, sizeof(*account));
        if (account == NULL)
            return false;
        account->named = member != NULL;
        if (member != NULL)
            account->member = *member;
        account->next = hub->accounts;
        hub->accounts = account;
    }
    account->conn_count++;
    account->open_count++;
    hub->open_count++;
    conn->account = account;
    return true;
}

void net_account_leave(struct net_conn *conn) {
    struct net_account *account = conn->account;
    if (account == NULL)
        return;
    ORD_ASSERT(conn->out == 0 && conn->unsent == 0 && conn->waiting == NULL);
    conn->account = NULL;
    if (--account->conn_count > 0)
        return;
    ORD_ASSERT(account->out == 0 && account->unsent == 0 && account->waiting_count == 0);
    struct net_account **link = &conn->hub->accounts;
    while (*link != account)
        link = &(*link)->next;
    *link = account->next;
    free(account);
}

static bool idle(const struct net_conn *conn) {
    return conn->out == 0 && conn->waiting == NULL && conn->rx_message == NULL && conn->tx_first == NULL;
}

/*
 * An idle connection other than `conn`: of the member with the most open ones, the one that has been idle the longest.
 * `account`: only of this one; NULL: of all, but of none that has fewer than the member of `conn`. NULL: there is none.
 */
static struct net_conn *idlest(const struct net_conn *conn, const struct net_account *account) {
    struct net_conn *found = NULL;
    uint32_t most = conn->account->open_count;
    for (struct net_conn *other = conn->hub->conns; other != NULL; other = other->next) {
        if (other == conn || other->account == NULL || other->closed || !idle(other) ||
            (account != NULL && other->account != account))
            continue;
        uint32_t count = other->account->open_count;
        if (count > most || (count == most && (found == NULL || other->active_ms < found->active_ms))) {
            found = other;
            most = count;
        }
    }
    return found;
}

/* Closes an idle connection in favour of `conn`, or `conn` itself. */
static void make_room(struct net_conn *conn, const struct net_account *account) {
    struct net_conn *victim = idlest(conn, account);
    net_conn_close(victim != NULL ? victim : conn);
}

void net_account_closed(struct net_conn *conn) {
    if (conn->account == NULL)
        return;
    conn->account->open_count--;
    conn->hub->open_count--;
}

bool net_account_admit(struct net_conn *conn) {
    struct net_hub *hub = conn->hub;
    if (!join(conn)) {
        net_conn_close(conn);
        return false;
    }
    conn->active_ms = net_now_ms();
    if (conn->account->open_count > hub->options.member_connections_max)
        make_room(conn, conn->account);
    else if (hub->open_count > hub->options.connections_max)
        make_room(conn, NULL);
    return !conn->closed;
}
