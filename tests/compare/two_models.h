/* A folder of its own, for each test, with a text of 2,000 characters and files for models on it. */
#ifndef TEST_TWO_MODELS_H
#define TEST_TWO_MODELS_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[] = "/tmp/ravel-two-XXXXXX";

static void put(const char *name, const char *text) {
    FILE *f = fopen(name, "w");
    cr_assert(f, "%s", name);
    fputs(text, f);
    fclose(f);
}

static void enter_folder(void) {
    cr_assert(mkdtemp(dir) && !chdir(dir));
    FILE *f = fopen("text", "w");
    for (int i = 0; i < 2000; i++) fputc(i % 40 == 39 ? '\n' : 'a' + i % 7, f);
    fclose(f);
}

static void teardown(void) {
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    cr_assert(!system(command));
}

#endif
