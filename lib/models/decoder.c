#include "models/decoder.h"

#include <string.h>

const rv_decoder_kind *rv_decoder_find(const char *name) {
    static const rv_decoder_kind *const kinds[] = {
#define RV_DECODER(n) &rv__decoder_##n,
#include "models/models.def"
#undef RV_DECODER
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i]->name, name)) return kinds[i];
    return NULL;
}
