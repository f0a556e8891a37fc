/* Where a conversion into one file is at work: a hidden folder beside it, .NAME.converting. The
 * file has its own name there, which readers and writers go by, and moves out when all is well. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataset/convert_job.h"
#include "dataset/write_file.h"

static bool is_dots(const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Call `each` with every file's name. */
static int each_file(const struct convert_stage *stage,
                     int (*each)(const struct convert_stage *stage, const char *name)) {
    DIR *dir = opendir(stage->folder);
    int rc = dir ? 0 : -1;
    for (struct dirent *entry; rc == 0 && (entry = readdir(dir));)
        if (!is_dots(entry->d_name))
            rc = each(stage, entry->d_name);
    int code = errno;
    if (dir)
        closedir(dir);
    errno = code;
    return rc;
}

static int remove_one(const struct convert_stage *stage, const char *name) {
    return unlinkat(stage->fd, name, 0);
}

/* What goes with the file, such as its index: before the file itself. */
static int move_beside(const struct convert_stage *stage, const char *name) {
    return strcmp(name, stage->name) == 0 ? 0 : renameat(stage->fd, name, stage->beside_fd, name);
}

int convert_stage_open(struct convert_stage *stage, const char *to, struct opiml_error *err) {
    const char *slash = strrchr(to, '/');
    int folder_bytes = slash ? (int)(slash - to) + 1 : 0;
    AUTO_FREE char *beside = base_printf("%.*s", folder_bytes ? folder_bytes : 1, slash ? to : ".");
    stage->name = to + folder_bytes;
    stage->folder = base_printf("%.*s.%s.converting", folder_bytes, to, stage->name);
    stage->file = stage->folder ? base_printf("%s/%s", stage->folder, stage->name) : NULL;
    if (!beside || !stage->file)
        return base_fail_memory(err, strlen(to), "a path");
    if ((mkdir(stage->folder, 0777) < 0 && errno != EEXIST) ||
        (stage->beside_fd = open(beside, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0 ||
        (stage->fd = open(stage->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)) < 0)
        return base_fail_errno(err, errno, "%s: cannot be written", to);
    if (flock(stage->fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return opiml_fail(err, OPIML_EBUSY, "%s: another process is writing it", to);
    stage->ours = true;
    /* What a call that was killed has left. */
    return each_file(stage, remove_one) < 0
               ? base_fail_errno(err, errno, "%s: emptying it", stage->folder)
               : 0;
}

int convert_stage_commit(struct convert_stage *stage, struct opiml_error *err) {
    if (each_file(stage, move_beside) < 0 ||
        renameat(stage->fd, stage->name, stage->beside_fd, stage->name) < 0)
        return base_fail_errno(err, errno, "%s: moving it out to its place", stage->file);
    AUTO_FREE char *beside = base_printf("%s/..", stage->folder);
    return beside ? write_sync_folder(beside, false, err) : base_fail_memory(err, 0, "a path");
}

void convert_stage_release(struct convert_stage *stage) {
    if (stage->ours) { /* while it is locked */
        each_file(stage, remove_one);
        rmdir(stage->folder);
    }
    if (stage->fd >= 0)
        close(stage->fd);
    if (stage->beside_fd >= 0)
        close(stage->beside_fd);
    base_free(stage->folder);
    base_free(stage->file);
    *stage = (struct convert_stage){.fd = -1, .beside_fd = -1};
}
