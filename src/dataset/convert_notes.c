/* What a user has to know of what was written: a line each. */
#include "dataset/convert_job.h"
#include "dataset/write_file.h"

#define CLASSES_SHOWN 12
#define NAME_BYTES_SHOWN 80

/* The written field that is the number of one of the source's classes, whose names the format has
 * no place for. NULL: none. */
static const char *nameless_label(const struct convert_job *job) {
    const struct dataset *from = job->ask->from;
    int label = opiml_schema_find(dataset_schema(from), "label");
    if (label < 0 || !dataset_class(from, 0) || job->ask->writer->flags & WRITE_CLASSES)
        return NULL;
    for (uint32_t i = 0; i < job->fields.schema.count; i++)
        if (job->fields.from[i] == (uint32_t)label)
            return job->fields.schema.fields[i].name;
    return NULL;
}

static void list_classes(const struct dataset *from, struct text *to) {
    text_add(to, "labels are numbers: ");
    for (uint32_t k = 0; dataset_class(from, k); k++) {
        char shown[NAME_BYTES_SHOWN];
        const char *name = dataset_class(from, k);
        if (k == CLASSES_SHOWN) {
            text_add(to, ", ...");
            break;
        }
        text_show(shown, sizeof(shown), 0, name, strlen(name));
        text_printf(to, "%s%u %s", k ? ", " : "", k, shown);
    }
    text_add(to, "\n");
}

/* Whether each of them is one line of a file. */
static bool are_lines(const struct dataset *from) {
    for (uint32_t k = 0; dataset_class(from, k); k++)
        if (strpbrk(dataset_class(from, k), "\n\r"))
            return false;
    return true;
}

int convert_labels_file(const struct convert_job *job, char **ret_name, struct opiml_error *err) {
    const char *label = nameless_label(job);
    *ret_name = NULL;
    if (!label || job->plan.single || !write_folder_safe(label) || !are_lines(job->ask->from))
        return 0;
    *ret_name = base_printf("%s" CONVERT_LABELS, label);
    return *ret_name ? 0 : base_fail_memory(err, strlen(label), "a file's name");
}

/* A name a line, in the file that TensorFlow Datasets has them in: FEATURE.labels.txt. */
static int write_classes(struct convert_job *job, const char *name, struct opiml_error *err) {
    AUTO_FREE char *path = base_printf("%s/%s", job->plan.root, name);
    AUTO_TEXT struct text names = {0};
    for (uint32_t k = 0; dataset_class(job->ask->from, k); k++)
        text_printf(&names, "%s\n", dataset_class(job->ask->from, k));
    if (!path || names.failed)
        return base_fail_memory(err, names.count, "names of classes");
    text_printf(&job->notes, "labels are numbers; %s there has the classes' names\n", name);
    return write_file_whole(path, names.at, names.count, err);
}

int convert_notes(struct convert_job *job, struct opiml_error *err) {
    const struct writer *writer = job->ask->writer;
    AUTO_FREE char *labels = NULL;
    int rc = convert_labels_file(job, &labels, err);
    if (rc == 0 && labels)
        rc = write_classes(job, labels, err);
    else if (nameless_label(job))
        list_classes(job->ask->from, &job->notes);
    if (writer->note)
        writer->note(&job->plan, &job->notes);
    if (rc == 0 && job->notes.failed)
        rc = base_fail_memory(err, job->notes.count, "notes");
    return rc;
}
