/*
 * Main function of a fuzz target that is built without libFuzzer: feeds it every file given as an argument and, with
 * -runs=N, N inputs that are the same each time. libFuzzer finds better inputs; these show that the target runs at all.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t state = 1;

static uint64_t draw(void) {
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void run_random(unsigned long count) {
    static uint8_t data[4096];
    for (unsigned long run = 0; run < count; run++) {
        size_t size = (size_t) (draw() % sizeof(data));
        for (size_t i = 0; i < size; i++)
            data[i] = (uint8_t) draw();
        LLVMFuzzerTestOneInput(data, size);
    }
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "-runs=", 6) == 0) {
            run_random(strtoul(argv[i] + 6, NULL, 10));
            continue;
        }
        if (argv[i][0] == '-')
            continue; /* another option meant for libFuzzer */
        FILE *file = fopen(argv[i], "rb");
        if (file == NULL) {
            perror(argv[i]);
            return 1;
        }
        static uint8_t data[1 << 20];
        size_t size = fread(data, 1, sizeof(data), file);
        fclose(file);
        LLVMFuzzerTestOneInput(data, size);
    }
    printf("%d inputs\n", argc - 1);
    return 0;
}
