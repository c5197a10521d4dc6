#include "models/encoder.h"

#include <string.h>

const rv_encoder_kind *rv_encoder_find(const char *name) {
    static const rv_encoder_kind *const kinds[] = {
#define RV_ENCODER(n) &rv__encoder_##n,
#include "models/models.def"
#undef RV_ENCODER
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i]->name, name)) return kinds[i];
    return NULL;
}
