/* Another libjpeg, emulated: what it decodes differs by a bit. To be preloaded. */
#include <dlfcn.h>
#include <stdio.h>

#include <jpeglib.h>

JDIMENSION jpeg_read_scanlines(j_decompress_ptr info, JSAMPARRAY rows, JDIMENSION most) {
    JDIMENSION (*real)(j_decompress_ptr, JSAMPARRAY, JDIMENSION);
    JDIMENSION count;

    *(void **)&real = dlsym(RTLD_NEXT, "jpeg_read_scanlines");
    count = real(info, rows, most);
    if (count > 0)
        rows[0][0] ^= 1;
    return count;
}
