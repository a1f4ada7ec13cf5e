/* SIR or SIS in a plain loop: what a careful programmer writes first, and the yardstick of the benchmarks.
 *
 * plain_loop sir|sis FILE REPETITIONS: FILE holds int64 size, entries, infected count, steps; double infect, recover (chances in a
 * step); int64 indptr [size + 1]; int32 indices [entries]; int32 infected nodes. Every infected pushes to every susceptible
 * contact with one coin; moves are simultaneous. Prints the seconds of the fastest repetition and the share that is not
 * susceptible at the end.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t word = 88172645463325252ULL;

static inline uint64_t draw(void) {
    word ^= word << 13;
    word ^= word >> 7;
    word ^= word << 17;
    return word;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int count, char **arguments) {
    if (count != 4) return 2;
    const int8_t after = strcmp(arguments[1], "sir") == 0 ? 2 : 0;
    FILE *file = fopen(arguments[2], "rb");
    int64_t head[4];
    double chance[2];
    if (!file || fread(head, 8, 4, file) != 4 || fread(chance, 8, 2, file) != 2) return 2;
    const int64_t size = head[0], entries = head[1], first = head[2], steps = head[3];
    int64_t *indptr = malloc(8 * (size_t)(size + 1));
    int32_t *indices = malloc(4 * (size_t)entries), *seeds = malloc(4 * (size_t)first);
    if (fread(indptr, 8, (size_t)size + 1, file) != (size_t)size + 1) return 2;
    if (fread(indices, 4, (size_t)entries, file) != (size_t)entries) return 2;
    if (fread(seeds, 4, (size_t)first, file) != (size_t)first) return 2;
    int8_t *state = malloc((size_t)size);
    int32_t *active = malloc(4 * (size_t)size), *fresh = malloc(4 * (size_t)size);
    const uint64_t infect = (uint64_t)(chance[0] * 18446744073709551615.0);
    const uint64_t recover = (uint64_t)(chance[1] * 18446744073709551615.0);
    double best = 1e300, share = 0;
    for (int repetition = 0; repetition < atoi(arguments[3]); repetition++) {
        memset(state, 0, (size_t)size);
        int64_t infected = first;
        for (int64_t k = 0; k < first; k++) state[active[k] = seeds[k]] = 1;
        const double begun = now();
        for (int64_t step = 0; step < steps; step++) {
            int64_t hits = 0, kept = 0;
            for (int64_t k = 0; k < infected; k++)
                for (int64_t entry = indptr[active[k]]; entry < indptr[active[k] + 1]; entry++) {
                    const int32_t other = indices[entry];
                    if (state[other] == 0 && draw() < infect) {
                        state[other] = 3; /* infected in this step: not yet infectious, and hit once */
                        fresh[hits++] = other;
                    }
                }
            for (int64_t k = 0; k < infected; k++) {
                if (draw() < recover) state[active[k]] = after;
                else active[kept++] = active[k];
            }
            for (int64_t k = 0; k < hits; k++) state[active[kept++] = fresh[k]] = 1;
            infected = kept;
        }
        const double seconds = now() - begun;
        if (seconds < best) best = seconds;
        int64_t left = 0;
        for (int64_t node = 0; node < size; node++) left += state[node] != 0;
        share = (double)left / (double)size;
    }
    printf("%.6f %.6f\n", best, share);
    return 0;
}
