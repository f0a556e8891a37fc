/* Pages: a verb's table as text for a terminal, as Markdown and as troff. */
#include <ctype.h>

#include "base/text.h"
#include "screen.h"
#include "verb.h"

#define INDENT 4

/* A page is a run of headings, paragraphs, verbatim blocks and items (a term and what it means). */
struct page {
    enum help_form form;
    int width;
    bool bold;
};

/* Word-wrapped with an indent. */
static void wrap(const struct page *page, int indent, const char *text) {
    int column = 0;

    while (*text) {
        size_t word = strcspn(text, " \n");

        if (word && column && column + 1 + (int)word > page->width - indent) {
            putchar('\n');
            column = 0;
        }
        if (word) {
            if (column)
                putchar(' ');
            else
                printf("%*s", indent, "");
            column += (column != 0) + (int)word;
            printf("%.*s", (int)word, text);
        }
        text += word;
        text += strspn(text, " \n");
    }
    putchar('\n');
}

/* Text for troff: no line may start with a request, no backslash or minus may be eaten. */
static void troff(const char *text) {
    bool start = true;

    for (; *text; text++) {
        if (start && (*text == '.' || *text == '\''))
            fputs("\\&", stdout);
        if (*text == '\\')
            fputs("\\e", stdout);
        else if (*text == '-')
            fputs("\\-", stdout);
        else
            putchar(*text);
        start = *text == '\n';
    }
    putchar('\n');
}

static void heading(const struct page *page, const char *title) {
    switch (page->form) {
    case HELP_TEXT:
        if (page->bold)
            printf("\n\033[1m%s\033[0m\n", title);
        else
            printf("\n%s\n", title);
        break;
    case HELP_MARKDOWN:
        printf("\n## %c", title[0]);
        for (const char *at = title + 1; *at; at++)
            putchar(tolower((unsigned char)*at));
        puts("\n");
        break;
    case HELP_MAN: printf(".SH %s\n", title); break;
    }
}

/* One line of a verbatim block. */
static void verbatim(const struct page *page, const char *line, size_t bytes) {
    switch (page->form) {
    case HELP_TEXT: printf("%*s%.*s\n", INDENT, "", (int)bytes, line); break;
    case HELP_MARKDOWN: printf("    %.*s\n", (int)bytes, line); break;
    case HELP_MAN: {
        char *copy = base_printf("%.*s", (int)bytes, line);

        fputs(".br\n", stdout);
        troff(copy ? copy : "");
        base_free(copy);
        break;
    }
    }
}

static void paragraph(const struct page *page, const char *text) {
    switch (page->form) {
    case HELP_TEXT: wrap(page, INDENT, text); break;
    case HELP_MARKDOWN: wrap(page, 0, text); break;
    case HELP_MAN:
        fputs(".PP\n", stdout);
        troff(text);
        break;
    }
}

static void item(const struct page *page, const char *term, const char *text) {
    switch (page->form) {
    case HELP_TEXT:
        printf("%*s%s%s%s\n", INDENT, "", page->bold ? "\033[1m" : "", term,
               page->bold ? "\033[0m" : "");
        wrap(page, 2 * INDENT, text);
        break;
    case HELP_MARKDOWN: printf("- `%s`: %s\n", term, text); break;
    case HELP_MAN:
        fputs(".TP\n.B ", stdout);
        troff(term);
        troff(text);
        break;
    }
}

/* Paragraphs and verbatim blocks, divided by empty lines. */
static void about(const struct page *page, const char *text) {
    bool first = true;

    while (*text) {
        const char *end = strstr(text, "\n\n");
        size_t bytes = end ? (size_t)(end - text) : strlen(text);
        char *block = base_printf("%.*s", (int)bytes, text);

        if (!first && page->form != HELP_MAN)
            putchar('\n');
        if (block && block[0] == ' ') {
            for (char *line = block; line;) {
                char *next = strchr(line, '\n');

                verbatim(page, line, next ? (size_t)(next - line) : strlen(line));
                line = next ? next + 1 : NULL;
            }
        } else if (block) {
            paragraph(page, block);
        }
        base_free(block);
        first = false;
        text += bytes;
        text += strspn(text, "\n");
    }
}

static void synopsis(const struct page *page, const struct verb *verb) {
    AUTO_TEXT struct text line = {0};
    AUTO_TEXT struct text all = {0};
    int width = page->form == HELP_TEXT ? page->width - INDENT : 96;

    text_printf(&line, "opiml %s%s%s", verb->name, verb->args[0] ? " " : "", verb->args);
    for (const struct option *row = verb->options; row && row->name; row++) {
        char one[96];

        if (row->value)
            snprintf(one, sizeof(one), " [--%s %s]", row->name, row->value);
        else
            snprintf(one, sizeof(one), " [--%s]", row->name);
        if ((int)(line.count + strlen(one)) > width) {
            text_printf(&all, "%s\n", line.at);
            text_release(&line);
            text_add(&line, "     ");
        }
        text_add(&line, one);
    }
    text_add(&all, line.at ? line.at : "");
    for (const char *at = all.at; at;) {
        const char *next = strchr(at, '\n');

        verbatim(page, at, next ? (size_t)(next - at) : strlen(at));
        at = next ? next + 1 : NULL;
    }
}

static void options(const struct page *page, const struct verb *verb) {
    for (const struct option *row = verb->options; row && row->name; row++) {
        AUTO_TEXT struct text term = {0};
        AUTO_TEXT struct text what = {0};

        text_printf(&term, "--%s%s%s", row->name, row->value ? " " : "",
                    row->value ? row->value : "");
        text_add(&what, row->help);
        if (row->type == OPTION_CHOICE) {
            text_add(&what, ": ");
            for (const char *at = row->choices; *at; at++)
                text_add_bytes(&what, *at == '|' ? ", " : at, *at == '|' ? 2 : 1);
        }
        if (row->preset)
            text_printf(&what, " (default: %s)", row->preset);
        text_add(&what, ".");
        item(page, term.at, what.at);
    }
    item(page, "-h, --help", "Show this page.");
}

/* Exit statuses are classes of codes: every class with the codes that it stands for. */
static void exit_statuses(const struct page *page) {
    static const struct {
        const char *text;
        int status;
    } codes[] = {
#define OPIML_X(name, number, text, http, grpc, status) {text, status},
        OPIML_ERROR_LIST(OPIML_X)
#undef OPIML_X
    };

    item(page, "0", "It worked.");
    for (int status = 1; status < 16; status++) {
        AUTO_TEXT struct text what = {0};
        char term[8];

        for (size_t i = 0; i < COUNT_OF(codes); i++)
            if (codes[i].status == status)
                text_printf(&what, "%s%s", what.count ? "; " : "", codes[i].text);
        snprintf(term, sizeof(term), "%d", status);
        if (!what.count)
            continue;
        text_add(&what, ".");
        what.at[0] = (char)toupper((unsigned char)what.at[0]);
        item(page, term, what.at);
    }
}

static void examples(const struct page *page, const char *text) {
    for (bool first = true; text && *text; first = false) {
        const char *what = strchr(text, '\n');
        const char *end = what ? strchrnul(what + 1, '\n') : NULL;

        assert(what); /* pairs of lines: see struct verb */
        switch (page->form) {
        case HELP_TEXT:
            printf("%*s$ %.*s\n", INDENT, "", (int)(what - text), text);
            printf("%*s%.*s\n", 2 * INDENT, "", (int)(end - what - 1), what + 1);
            break;
        case HELP_MARKDOWN:
            printf("%s%.*s\n\n    $ %.*s\n", first ? "" : "\n", (int)(end - what - 1), what + 1,
                   (int)(what - text), text);
            break;
        case HELP_MAN:
            fputs(".TP\n.B ", stdout);
            verbatim(page, text, (size_t)(what - text));
            verbatim(page, what + 1, (size_t)(end - what - 1));
            break;
        }
        text = *end ? end + 1 : end;
    }
}

static void title(const struct page *page, const struct verb *verb) {
    char name[64];

    snprintf(name, sizeof(name), "opiml %s", verb->name);
    switch (page->form) {
    case HELP_TEXT: printf("%s - %s\n", name, verb->help); break;
    case HELP_MARKDOWN: printf("# %s\n\n%s.\n", name, verb->help); break;
    case HELP_MAN:
        for (char *at = name; *at; at++)
            if (*at == ' ')
                *at = '-';
        printf(".TH %s 1 \"\" \"opiml " OPIML_VERSION "\" \"opiml manual\"\n", name);
        printf(".SH NAME\n%s \\- %s\n", name, verb->help);
        break;
    }
}

void help_verb(const struct verb *verb, enum help_form form) {
    struct page page = {.form = form};

    page.width = form == HELP_TEXT ? (int)base_min_u64((uint64_t)screen_columns(stdout), 100) : 100;
    page.bold = form == HELP_TEXT && screen_colour(stdout);
    title(&page, verb);
    heading(&page, "SYNOPSIS");
    synopsis(&page, verb);
    heading(&page, "DESCRIPTION");
    about(&page, verb->about);
    heading(&page, "OPTIONS");
    options(&page, verb);
    if (verb->examples) {
        heading(&page, "EXAMPLES");
        examples(&page, verb->examples);
    }
    heading(&page, "EXIT STATUS");
    exit_statuses(&page);
}

void help_overview(FILE *to, const char *noun) {
    size_t length = noun ? strlen(noun) : 0;

    fprintf(to, "usage: opiml %s%sVERB [ARGUMENT...] [--OPTION...]\n\n", noun ? noun : "",
            noun ? " " : "");
    for (size_t i = 0; verb_table[i]; i++)
        if (!noun ||
            (strncmp(verb_table[i]->name, noun, length) == 0 && verb_table[i]->name[length] == ' '))
            fprintf(to, "  %-16s %s\n", verb_table[i]->name, verb_table[i]->help);
    fprintf(to, "\n`opiml VERB -h` shows a verb's options and examples.\n");
}

void help_overview_markdown(void) {
    puts("# The verbs of opiml\n\nWritten by `./dev docs` from the tables that the program itself "
         "parses with.\n");
    for (size_t i = 0; verb_table[i]; i++) {
        AUTO_FREE char *file = base_strdup(verb_table[i]->name);

        for (char *at = file; at && *at; at++)
            if (*at == ' ')
                *at = '-';
        printf("- [`opiml %s`](%s.md): %s\n", verb_table[i]->name, file ? file : "",
               verb_table[i]->help);
    }
}

void help_overview_man(void) {
    const struct page page = {.form = HELP_MAN};

    puts(".TH opiml 1 \"\" \"opiml " OPIML_VERSION "\" \"opiml manual\"\n.SH NAME\n"
         "opiml \\- Machine learning on programmable infrastructure\n.SH SYNOPSIS\n"
         ".B opiml\nVERB [ARGUMENT...] [\\-\\-OPTION...]");
    heading(&page, "VERBS");
    for (size_t i = 0; verb_table[i]; i++)
        item(&page, verb_table[i]->name, verb_table[i]->help);
    heading(&page, "SEE ALSO");
    puts("A verb has a page of its own, as opiml-feed(1) and opiml-node-start(1); `opiml VERB -h` "
         "shows it, too.");
}
