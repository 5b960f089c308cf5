/*
 * Evidence from replicas, some of which lie. Evidence that is given out proves itself, and a replica that frames others
 * is named.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/ordain.h"
#include "tests/support/client_world.h"
#include "tests/support/test_main.h"

#define TIMEOUT_MS 20000u

struct scene {
    struct world *world;
    struct ordain *client;
    uint8_t *genesis;
    size_t genesis_size;
    uint8_t *file; /* the evidence that was fetched last */
    size_t size;
    uint32_t count;
    char why[ORDAIN_TEXT_SIZE];
};

static void open_client(struct scene *scene, int replica) {
    struct ordain_options options;
    ordain_close(scene->client);
    ordain_options_init(&options);
    options.config_file = world_config_file(scene->world);
    options.replica = replica;
    if (ordain_open(&scene->client, &options, scene->why, sizeof(scene->why)) != ORDAIN_OK)
        fail_msg("%s", scene->why);
}

static void open_scene(struct scene *scene) {
    struct world_options options = {.replica_count = 4, .consensus = CHANNEL_PBFT};
    memset(scene, 0, sizeof(*scene));
    scene->world = world_create(&options);
    open_client(scene, ORDAIN_ANY_REPLICA);
    FILE *file = fopen(world_genesis_file(scene->world), "rb");
    assert_non_null(file);
    scene->genesis = malloc(1u << 16);
    assert_non_null(scene->genesis);
    scene->genesis_size = fread(scene->genesis, 1, 1u << 16, file);
    assert_in_range(scene->genesis_size, 1, (1u << 16) - 1);
    fclose(file);
}

static void close_scene(struct scene *scene) {
    ordain_close(scene->client);
    world_destroy(scene->world);
    free(scene->genesis);
    free(scene->file);
}

static enum ordain_error fetch(struct scene *scene, int against, uint32_t timeout_ms) {
    free(scene->file);
    return ordain_evidence_fetch(scene->client, &scene->file, &scene->size, &scene->count, against, timeout_ms,
                                 scene->why, sizeof(scene->why));
}

static enum ordain_error verify(struct scene *scene, struct ordain_evidence **list, uint32_t *count,
                                const uint8_t *bytes, size_t size) {
    return ordain_evidence_verify(list, count, (struct ordain_bytes) {scene->genesis, scene->genesis_size},
                                  (struct ordain_bytes) {bytes, size}, scene->why, sizeof(scene->why));
}

static void fetch__takes_each_contradiction_once(void **state) {
    (void) state;
    static struct scene scene;
    open_scene(&scene);
    world_accuse(scene.world, 0, 3, 5, false);
    world_accuse(scene.world, 1, 3, 5, false);
    world_accuse(scene.world, 1, 3, 6, false);
    world_accuse(scene.world, 2, 1, 5, false);
    /*
     * Once one replica has answered, replicas that are not connected yet get a short time only. So fetch again until
     * all three pieces are there.
     */
    for (time_t end = time(NULL) + 60; scene.count < 3 && time(NULL) < end;)
        assert_int_equal(fetch(&scene, ORDAIN_ANY_REPLICA, TIMEOUT_MS), ORDAIN_OK);
    assert_int_equal(scene.count, 3);
    struct ordain_evidence *list = NULL;
    uint32_t count = 0;
    assert_int_equal(verify(&scene, &list, &count, scene.file, scene.size), ORDAIN_OK);
    assert_int_equal(count, 3);
    uint64_t seqs = 0;
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(list[i].statement, ORDAIN_STATEMENT_ATTESTATION);
        assert_string_equal(ordain_statement_name(list[i].statement), "ATTESTATION");
        assert_int_equal(list[i].said[0].digest[0], 1);
        assert_int_equal(list[i].said[1].digest[0], 2);
        assert_true(list[i].culprit == 3 || (list[i].culprit == 1 && list[i].seq == 5));
        seqs += list[i].seq;
    }
    assert_int_equal(seqs, 5 + 6 + 5);
    free(list);

    for (time_t end = time(NULL) + 60; scene.count != 2 && time(NULL) < end;)
        assert_int_equal(fetch(&scene, 3, TIMEOUT_MS), ORDAIN_OK);
    assert_int_equal(scene.count, 2);
    assert_int_equal(fetch(&scene, 0, TIMEOUT_MS), ORDAIN_NOT_FOUND);
    assert_null(scene.file);
    assert_int_equal(fetch(&scene, 4, TIMEOUT_MS), ORDAIN_INVALID);
    for (uint32_t i = 0; i < 4; i++)
        assert_false(ordain_replica_suspect(scene.client, i, NULL, 0));
    close_scene(&scene);
}

static void fetch__names_who_frames_others(void **state) {
    (void) state;
    static struct scene scene;
    char why[ORDAIN_TEXT_SIZE];
    open_scene(&scene);
    world_accuse(scene.world, 1, 2, 5, true);
    open_client(&scene, 1);
    assert_int_equal(fetch(&scene, ORDAIN_ANY_REPLICA, TIMEOUT_MS), ORDAIN_NOT_FOUND);
    assert_null(scene.file);
    assert_true(ordain_replica_suspect(scene.client, 1, why, sizeof(why)));
    assert_non_null(strstr(why, "a signature does not verify"));
    /* True evidence from another replica is taken, because it proves itself. */
    world_accuse(scene.world, 0, 3, 5, false);
    open_client(&scene, 0);
    assert_int_equal(fetch(&scene, ORDAIN_ANY_REPLICA, TIMEOUT_MS), ORDAIN_OK);
    assert_int_equal(scene.count, 1);
    assert_false(ordain_replica_suspect(scene.client, 0, why, sizeof(why)));
    close_scene(&scene);
}

static void fetch__tells_no_evidence_from_no_answer(void **state) {
    (void) state;
    static struct scene scene;
    open_scene(&scene);
    assert_int_equal(fetch(&scene, ORDAIN_ANY_REPLICA, TIMEOUT_MS), ORDAIN_NOT_FOUND);
    for (uint32_t i = 0; i < 4; i++)
        world_stop_replica(scene.world, i);
    assert_int_equal(fetch(&scene, ORDAIN_ANY_REPLICA, 200), ORDAIN_UNREACHABLE);
    assert_int_equal(scene.count, 0);
    close_scene(&scene);
}

static void verify__needs_the_file_and_the_genesis_block(void **state) {
    (void) state;
    static struct scene scene;
    open_scene(&scene);
    world_accuse(scene.world, 0, 3, 5, false);
    world_accuse(scene.world, 0, 2, 6, false);
    open_client(&scene, 0);
    assert_int_equal(fetch(&scene, ORDAIN_ANY_REPLICA, TIMEOUT_MS), ORDAIN_OK);
    for (uint32_t i = 0; i < 4; i++)
        world_stop_replica(scene.world, i);
    struct ordain_evidence *list = NULL;
    uint32_t count = 0;
    assert_int_equal(verify(&scene, &list, &count, scene.file, scene.size), ORDAIN_OK);
    assert_int_equal(count, 2);
    free(list);
    for (size_t i = 0; i < scene.size; i++) {
        scene.file[i] ^= 0x10;
        assert_int_equal(verify(&scene, &list, &count, scene.file, scene.size), ORDAIN_UNVERIFIED);
        assert_null(list);
        scene.file[i] ^= 0x10;
        /* A cut between the two pieces leaves a valid file with one piece. */
        if (i != scene.size / 2)
            assert_int_equal(verify(&scene, &list, &count, scene.file, i), ORDAIN_UNVERIFIED);
    }
    /* The same file twice, concatenated: the number of contradictions stays the same. */
    uint8_t *twice = malloc(2 * scene.size);
    assert_non_null(twice);
    memcpy(twice, scene.file, scene.size);
    memcpy(twice + scene.size, scene.file, scene.size);
    assert_int_equal(verify(&scene, &list, &count, twice, 2 * scene.size), ORDAIN_OK);
    assert_int_equal(count, 2);
    free(list);
    free(twice);
    scene.genesis[scene.genesis_size / 2] ^= 1;
    assert_int_equal(verify(&scene, &list, &count, scene.file, scene.size), ORDAIN_INVALID);
    close_scene(&scene);

    /* The genesis block of another network. */
    static struct scene other;
    open_scene(&other);
    world_accuse(other.world, 0, 3, 5, false);
    open_client(&other, 0);
    assert_int_equal(fetch(&other, ORDAIN_ANY_REPLICA, TIMEOUT_MS), ORDAIN_OK);
    uint8_t *file = other.file;
    size_t size = other.size;
    other.file = NULL;
    close_scene(&other);
    open_scene(&other);
    assert_int_equal(verify(&other, &list, &count, file, size), ORDAIN_UNVERIFIED);
    assert_non_null(strstr(other.why, "another network"));
    free(file);
    close_scene(&other);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(fetch__takes_each_contradiction_once),
    cmocka_unit_test(fetch__names_who_frames_others),
    cmocka_unit_test(fetch__tells_no_evidence_from_no_answer),
    cmocka_unit_test(verify__needs_the_file_and_the_genesis_block),
};
TEST_CASES(cases);
