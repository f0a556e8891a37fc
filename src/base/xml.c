#include "base/xml.h"

struct reader {
    const char *begin, *at, *end;
    char path[XML_PATH_MAX];
    /* Where each open element's name begins in `path`, and its text in `text`. */
    size_t names[XML_DEPTH_MAX], texts[XML_DEPTH_MAX];
    uint32_t depth;
    bool seen; /* the document's element has begun */
    struct text text;
    struct opiml_error *err;
};

static int damaged(const struct reader *self, const char *what) {
    return opiml_fail(self->err, OPIML_ECORRUPT, "XML at offset %td: %s", self->at - self->begin,
                      what);
}

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == ':' || (unsigned char)c >= 0x80;
}

static bool begins(const struct reader *self, const char *with) {
    size_t bytes = strlen(with);
    return (size_t)(self->end - self->at) >= bytes && memcmp(self->at, with, bytes) == 0;
}

static void skip_spaces(struct reader *self) {
    while (self->at < self->end && is_space(*self->at))
        self->at++;
}

/* Go past the next `mark`. */
static int skip_past(struct reader *self, const char *mark) {
    size_t bytes = strlen(mark);
    const char *found = memmem(self->at, (size_t)(self->end - self->at), mark, bytes);
    if (!found)
        return damaged(self, "it ends within a tag, a comment or an instruction");
    self->at = found + bytes;
    return 0;
}

/* A name without its prefix. */
static int read_name(struct reader *self, const char **ret_name, size_t *ret_bytes) {
    const char *name = self->at;
    while (self->at < self->end && is_name(*self->at)) {
        if (*self->at == ':')
            name = self->at + 1;
        self->at++;
    }
    size_t bytes = (size_t)(self->at - name);
    if (bytes == 0 || bytes > XML_NAME_MAX)
        return damaged(self, "a name that is empty or longer than 64 bytes");
    *ret_name = name;
    *ret_bytes = bytes;
    return 0;
}

static int add_text(struct reader *self, const char *from, size_t bytes) {
    size_t begin = self->depth ? self->texts[self->depth - 1] : 0;
    if (self->text.count - begin + bytes > XML_TEXT_MAX)
        return damaged(self, "an element with more than 64 KiB of text");
    text_add_bytes(&self->text, from, bytes);
    return self->text.failed ? base_fail_memory(self->err, bytes, "an answer's text") : 0;
}

/* A character by its number, as UTF-8. */
static size_t put_character(uint32_t number, char to[4]) {
    if (number < 0x80) {
        to[0] = (char)number;
        return 1;
    }
    size_t more = number < 0x800 ? 1 : number < 0x10000 ? 2 : 3;
    static const uint8_t leads[] = {0, 0xC0, 0xE0, 0xF0};
    to[0] = (char)(leads[more] | number >> (6 * more));
    for (size_t i = 1; i <= more; i++)
        to[i] = (char)(0x80 | (number >> (6 * (more - i)) & 0x3F));
    return more + 1;
}

/* "#38" or "#x26". */
static bool read_number(const char *at, size_t bytes, uint32_t *ret_number) {
    uint32_t number = 0, base = bytes > 1 && at[1] == 'x' ? 16 : 10;
    size_t i = base == 16 ? 2 : 1;
    if (i == bytes || bytes > 10)
        return false;
    for (; i < bytes; i++) {
        char c = at[i];
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
                                                : 99;
        if (digit >= base || number > 0x10FFFF)
            return false;
        number = number * base + digit;
    }
    *ret_number = number;
    return number > 0 && number <= 0x10FFFF && (number < 0xD800 || number > 0xDFFF);
}

static int read_entity(struct reader *self) {
    static const struct {
        const char *name, *text;
    } known[] = {{"amp", "&"}, {"lt", "<"}, {"gt", ">"}, {"quot", "\""}, {"apos", "'"}};
    const char *name = self->at + 1;
    size_t room = base_min_u64((uint64_t)(self->end - name), 12);
    const char *close = memchr(name, ';', room);
    size_t bytes = close ? (size_t)(close - name) : 0;
    char character[4];
    uint32_t number;
    if (bytes > 0 && name[0] == '#' && read_number(name, bytes, &number)) {
        self->at = close + 1;
        return add_text(self, character, put_character(number, character));
    }
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (bytes == strlen(known[i].name) && memcmp(name, known[i].name, bytes) == 0) {
            self->at = close + 1;
            return add_text(self, known[i].text, 1);
        }
    return damaged(self, "an entity that is none of XML's own");
}

static int read_text(struct reader *self) {
    while (self->at < self->end && *self->at != '<') {
        if (self->depth == 0 && !is_space(*self->at))
            return damaged(self, "text outside of the document's element");
        const char *from = self->at;
        while (self->at < self->end && *self->at != '<' && *self->at != '&')
            self->at++;
        int rc = 0;
        if (self->at > from && self->depth > 0)
            rc = add_text(self, from, (size_t)(self->at - from));
        if (rc == 0 && self->at < self->end && *self->at == '&')
            rc = read_entity(self);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int close_element(struct reader *self, xml_element element, void *context) {
    size_t name = self->names[self->depth - 1], text = self->texts[self->depth - 1];
    if (text_add_bytes(&self->text, "", 1), self->text.failed)
        return base_fail_memory(self->err, 1, "an answer's text");
    int rc =
        element(context, self->path, self->text.at + text, self->text.count - 1 - text, self->err);
    self->text.count = text;
    self->path[name > 0 ? name - 1 : 0] = '\0';
    self->depth--;
    return rc;
}

static int open_element(struct reader *self, const char *name, size_t bytes) {
    if (self->depth == XML_DEPTH_MAX)
        return damaged(self, "elements more than 16 deep");
    if (self->depth == 0 && self->seen)
        return damaged(self, "a second element beside the document's");
    self->seen = true;
    size_t at = strlen(self->path);
    if (at > 0)
        self->path[at++] = '/';
    memcpy(self->path + at, name, bytes);
    self->path[at + bytes] = '\0';
    self->names[self->depth] = at;
    self->texts[self->depth++] = self->text.count;
    return 0;
}

/* Attributes, up to the end of the tag; whether that is "/>". */
static int skip_attributes(struct reader *self, bool *ret_empty) {
    for (;;) {
        const char *name;
        size_t bytes;
        skip_spaces(self);
        *ret_empty = begins(self, "/>");
        if (*ret_empty || begins(self, ">")) {
            self->at += *ret_empty ? 2 : 1;
            return 0;
        }
        int rc = read_name(self, &name, &bytes);
        if (rc < 0)
            return rc;
        skip_spaces(self);
        if (!begins(self, "="))
            return damaged(self, "an attribute without a value");
        self->at++;
        skip_spaces(self);
        if (!begins(self, "\"") && !begins(self, "'"))
            return damaged(self, "an attribute's value without quotes");
        const char quote[2] = {*self->at++};
        if ((rc = skip_past(self, quote)) < 0)
            return rc;
    }
}

static int read_tag(struct reader *self, xml_element element, void *context) {
    const char *name;
    size_t bytes;
    bool empty;
    bool closing = begins(self, "</");
    self->at += closing ? 2 : 1;
    int rc = read_name(self, &name, &bytes);
    if (rc < 0)
        return rc;
    if (!closing) {
        if ((rc = open_element(self, name, bytes)) < 0 || (rc = skip_attributes(self, &empty)) < 0)
            return rc;
        return empty ? close_element(self, element, context) : 0;
    }
    const char *open = self->depth ? self->path + self->names[self->depth - 1] : "";
    if (strlen(open) != bytes || memcmp(open, name, bytes) != 0)
        return damaged(self, "an end tag of another element than the open one");
    skip_spaces(self);
    if (!begins(self, ">"))
        return damaged(self, "an end tag that does not end");
    self->at++;
    return close_element(self, element, context);
}

static int read_section(struct reader *self) {
    self->at += strlen("<![CDATA[");
    const char *from = self->at;
    int rc = skip_past(self, "]]>");
    if (rc == 0 && self->depth == 0)
        rc = damaged(self, "text outside of the document's element");
    return rc < 0 ? rc : add_text(self, from, (size_t)(self->at - from) - 3);
}

static int read_all(struct reader *self, xml_element element, void *context) {
    while (self->at < self->end) {
        int rc;
        if (*self->at != '<')
            rc = read_text(self);
        else if (begins(self, "<?"))
            rc = skip_past(self, "?>");
        else if (begins(self, "<!--"))
            rc = skip_past(self, "-->");
        else if (begins(self, "<![CDATA["))
            rc = read_section(self);
        else if (begins(self, "<!"))
            rc = damaged(self, "a document type, which is not read");
        else
            rc = read_tag(self, element, context);
        if (rc < 0)
            return rc;
    }
    return self->depth > 0 || !self->seen ? damaged(self, "it ends early") : 0;
}

int xml_read(const char *data, size_t bytes, xml_element element, void *context,
             struct opiml_error *err) {
    struct reader self = {.begin = data, .at = data, .end = data + bytes, .err = err};
    int rc = read_all(&self, element, context);
    text_release(&self.text);
    return rc;
}
