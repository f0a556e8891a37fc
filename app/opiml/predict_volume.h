/* Predicting on volumes: the class of every voxel. */
#ifndef APP_PREDICT_VOLUME_H
#define APP_PREDICT_VOLUME_H

#include <opiml/train.h>

#include "base/json.h"

struct predict_volume {
    struct opiml_model *model;
    const char *data;   /* pipeline file whose operators prepare the volume */
    const char *folder; /* for what is written */
    double overlap;     /* of windows */
};
/* Whether what is written for one volume would replace what is written for another. OPIML_EINVAL
 * names it. */
int predict_volume_check(const struct predict_volume *self, char *const *paths, int count,
                         struct opiml_error *err);
/* One volume: writes NAME.mask.nii and NAME.overlay.png, and tells of the classes: on standard
 * output, or as an object in `list` when that is not NULL. */
int predict_volume(const struct predict_volume *self, const char *path, struct js *list,
                   struct opiml_error *err);

#endif
