/* Entries (envelopes on their way), and lists of them. */
#include "client/flow/entry.h"

#include <stdlib.h>
#include <string.h>

#include "core/assert.h"

void client_entries_push(struct client_entries *list, struct client_entry *entry) {
    entry->next = NULL;
    if (list->tail == NULL)
        list->head = entry;
    else
        list->tail->next = entry;
    list->tail = entry;
    list->count++;
}

struct client_entry *client_entries_pop(struct client_entries *list) {
    struct client_entry *entry = list->head;
    if (entry == NULL)
        return NULL;
    list->head = entry->next;
    if (list->head == NULL)
        list->tail = NULL;
    entry->next = NULL;
    list->count--;
    return entry;
}

void client_entries_append(struct client_entries *list, struct client_entries *from) {
    if (from->head == NULL)
        return;
    if (list->tail == NULL)
        list->head = from->head;
    else
        list->tail->next = from->head;
    list->tail = from->tail;
    list->count += from->count;
    *from = (struct client_entries) {0};
}

void client_entries_prepend(struct client_entries *list, struct client_entries *from) {
    client_entries_append(from, list);
    *list = *from;
    *from = (struct client_entries) {0};
}

void client_entry_free(struct client_entry *entry) {
    free(entry->envelope);
    free(entry);
}

/* Writes the signature over an encoded envelope into its last bytes. */
static enum ord_err sign(uint8_t *data, size_t size, const struct client_signing *signing) {
    struct ord_hash id;
    struct ord_signature signature;
    channel_envelope_id(&id, ord_span_of(data, size - ORD_SIGNATURE_SIZE));
    enum ord_err err = signing->signer.sign(signing->signer.context, &signature, &id);
    if (err == ORD_OK)
        memcpy(data + size - ORD_SIGNATURE_SIZE, signature.bytes, ORD_SIGNATURE_SIZE);
    return err;
}

enum ord_err client_entry_sign(struct client_entry *entry, const struct client_signing *signing,
                               const struct ord_span *transactions, uint32_t count) {
    struct channel_envelope header = {
        .kind = CHANNEL_ENVELOPE_TRANSACTIONS,
        .genesis_hash = signing->genesis_hash,
        .client = signing->fingerprint,
        .sequence = entry->sequence,
        .config_sequence = signing->config_sequence,
    };
    size_t capacity = channel_envelope_size(transactions, count);
    uint8_t *data = malloc(capacity);
    if (data == NULL)
        return ORD_ERR_NO_MEMORY;
    struct ord_writer writer = ord_writer_of(data, capacity);
    enum ord_err err = channel_envelope_encode(&writer, &header, transactions, count, NULL);
    if (err == ORD_OK)
        err = sign(data, writer.size, signing);
    if (err != ORD_OK) {
        free(data);
        return err;
    }
    free(entry->envelope);
    entry->envelope = data;
    entry->size = writer.size;
    return ORD_OK;
}

enum ord_err client_entry_sign_again(struct client_entry *entry, const struct client_signing *signing) {
    struct channel_envelope old;
    enum ord_err err = channel_envelope_decode(&old, ord_span_of(entry->envelope, entry->size));
    ORD_ASSERT(err == ORD_OK); /* we encoded it ourselves */
    struct ord_span *transactions = calloc(old.transaction_count, sizeof(*transactions));
    if (transactions == NULL)
        return ORD_ERR_NO_MEMORY;
    struct ord_span left = old.transactions;
    for (uint32_t i = 0; i < old.transaction_count; i++) {
        err = channel_envelope_next(&transactions[i], &left);
        ORD_ASSERT(err == ORD_OK);
    }
    err = client_entry_sign(entry, signing, transactions, old.transaction_count);
    free(transactions);
    return err;
}
