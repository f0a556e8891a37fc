/* The classes that a model finds likeliest. */
#include "likeliest.h"

uint32_t likeliest_take(const struct opiml_model *model, float *probabilities,
                        float *ret_probability) {
    uint32_t best = 0;

    for (uint32_t k = 1; k < opiml_model_classes(model); k++)
        if (probabilities[k] > probabilities[best])
            best = k;
    *ret_probability = probabilities[best];
    probabilities[best] = -1;
    return best;
}

struct js *likeliest_json(const struct opiml_model *model, float *probabilities, uint32_t top) {
    struct js *list = js_array();

    for (uint32_t i = 0; i < top && i < opiml_model_classes(model); i++) {
        float probability;
        uint32_t label = likeliest_take(model, probabilities, &probability);
        struct js *entry = js_object();

        js_set(entry, "class", js_text(opiml_model_class(model, label)));
        js_set(entry, "label", js_int(label));
        js_set(entry, "probability", js_num(probability));
        js_add(list, entry);
    }
    return list;
}
