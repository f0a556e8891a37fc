/* Pixels → a JPEG file in memory. */
#include <setjmp.h>

#include "jpeg_write.h"

#include <jpeglib.h>

struct failure {
    struct jpeg_error_mgr base;
    jmp_buf jump;
    char reason[JMSG_LENGTH_MAX];
};

static void on_error(j_common_ptr common) {
    struct failure *failure = (struct failure *)common->err;

    failure->base.format_message(common, failure->reason);
    longjmp(failure->jump, 1);
}

/* What libjpeg allocates; lives in the caller of the function that longjmp comes back to. */
struct output {
    unsigned char *data;
    unsigned long bytes;
};

static int compress(const uint8_t *rgb, uint32_t width, uint32_t height, int quality,
                    struct output *output, struct opiml_error *err) {
    struct jpeg_compress_struct jpeg;
    struct failure failure;

    jpeg.err = jpeg_std_error(&failure.base);
    failure.base.error_exit = on_error;
    if (setjmp(failure.jump)) {
        jpeg_destroy_compress(&jpeg);
        return opiml_fail(err, OPIML_EINTERNAL, "libjpeg: %s", failure.reason);
    }
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &output->data, &output->bytes);
    jpeg.image_width = width;
    jpeg.image_height = height;
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, quality, TRUE);
    jpeg.dct_method = JDCT_ISLOW;
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < height) {
        JSAMPROW row = (JSAMPROW)(rgb + (size_t)jpeg.next_scanline * width * 3);

        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    return 0;
}

int jpeg_write(const uint8_t *rgb, uint32_t width, uint32_t height, int quality, uint8_t **ret_data,
               size_t *ret_bytes, struct opiml_error *err) {
    struct output output = {0};
    int rc = compress(rgb, width, height, quality, &output, err);

    if (rc < 0) {
        free(output.data);
        return rc;
    }
    *ret_data = output.data;
    *ret_bytes = output.bytes;
    return 0;
}

void jpeg_write_free(uint8_t *data) {
    free(data); /* libjpeg's jpeg_mem_dest allocates with malloc */
}

void jpeg_write_free_at(uint8_t **data) {
    jpeg_write_free(*data);
}
