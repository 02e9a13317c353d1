/*
 * wordcount: counts the words of every regular file below a directory, as `wc -w` counts them, with a
 * pipeline of goroutines:
 *
 *   walker --paths--> counters (a bounded pool) --tables--> collector (main)      progress, on a terminal
 *
 * Every channel is bounded, so a slow stage holds up the ones before it and memory grows with the number
 * of distinct words, not with the number of files. File errors are named on stderr and counted; nothing
 * stops.
 *
 * What is a word? As in GNU wc: white space parts words, and a word needs at least one printable
 * character; other characters and undecodable bytes neither start a word nor end one. So a word is a run
 * of bytes between white space that holds something printable. The locale (LC_CTYPE) says what is white
 * and what is printable; wc's four no-break spaces part words too, unless POSIXLY_CORRECT is set.
 *
 * A note on errno: a goroutine may change its thread at every gort call, and compilers keep the address of
 * errno from before it. So each function that looks at errno is NOINLINE, calls nothing of gort, and
 * returns -errno.
 */
#define _POSIX_C_SOURCE 200809L
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gort.h>
#include <inttypes.h>
#include <limits.h>
#include <locale.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#ifdef __GNUC__
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE
#endif

enum {
    COMMONEST = 10,
    CHUNK = 64 * 1024,      /* bytes read at once */
    PATHS = 256,            /* paths waiting for a counter */
    TABLE_FLUSH = 1 << 14,  /* distinct words after which a counter hands its table to the collector */
    KEPT = 1024,            /* bytes kept of a word; a longer one is told apart by its length and hash too */
    SHOWN = 60,             /* bytes of a word that are printed */
    NOT_REGULAR = INT_MIN,  /* beside the negated errno values: another kind of file has taken the place */
};

static const int64_t MILLISECOND = INT64_C(1000000);

static void *allocate(void *old, size_t size)
{
    void *new = realloc(old, size);
    if (new == NULL) {
        fputs("wordcount: out of memory\n", stderr);
        exit(2);
    }
    return new;
}

/* ---- Printing: names and words may hold any byte, and goroutines share stderr with the progress line ---- */

static gort_mutex_t stderr_lock;
static bool progress_shown;     /* guarded by stderr_lock */

/* What is not printable here comes out as \ooo, so that one name or word stays on one line. */
static void put_escaped(FILE *out, const char *bytes, size_t size)
{
    mbstate_t state = {0};
    while (size > 0) {
        wchar_t wide;
        size_t n = mbrtowc(&wide, bytes, size, &state);
        if (n != 0 && n <= size && iswprint((wint_t)wide) && *bytes != '\\') {
            fwrite(bytes, 1, n, out);
        } else {
            if (n == 0 || n > size) {
                n = 1;
                memset(&state, 0, sizeof state);
            }
            for (size_t i = 0; i < n; i++) {
                if (bytes[i] == '\\')
                    fputs("\\\\", out);
                else
                    fprintf(out, "\\%03o", (unsigned)(unsigned char)bytes[i]);
            }
        }
        bytes += n;
        size -= n;
    }
}

static void clear_progress(void)
{
    if (progress_shown)
        fputs("\r\033[K", stderr);
    progress_shown = false;
}

/* Names what went wrong with a file: `error` is a negated errno, or NOT_REGULAR. */
static void complain(const char *path, int error)
{
    gort_mutex_lock(&stderr_lock);
    clear_progress();
    fputs("wordcount: '", stderr);
    put_escaped(stderr, path, strlen(path));
    fprintf(stderr, "': %s\n", error == NOT_REGULAR ? "no longer a regular file" : strerror(-error));
    gort_mutex_unlock(&stderr_lock);
}

static void die(const char *what, int status)
{
    fprintf(stderr, "wordcount: %s: %s\n", what, gort_strerror(status));
    exit(2);
}

/* ---- Words and their table ---- */

struct word {
    struct word *next;      /* in its bucket */
    uint64_t hash;
    uint64_t count;
    size_t length;          /* of the word; min(length, KEPT) bytes follow */
    char bytes[];
};

struct table {
    struct word **buckets;
    size_t bucket_count;    /* a power of two, or 0 */
    size_t word_count;
};

static size_t kept_of(size_t length)
{
    return length < KEPT ? length : KEPT;
}

static void table_grow(struct table *table)
{
    size_t bucket_count = table->bucket_count == 0 ? 1024 : 2 * table->bucket_count;
    struct word **buckets = allocate(NULL, bucket_count * sizeof *buckets);
    for (size_t i = 0; i < bucket_count; i++)
        buckets[i] = NULL;
    for (size_t i = 0; i < table->bucket_count; i++) {
        for (struct word *word = table->buckets[i], *next; word != NULL; word = next) {
            struct word **bucket = &buckets[word->hash & (bucket_count - 1)];
            next = word->next;
            word->next = *bucket;
            *bucket = word;
        }
    }
    free(table->buckets);
    table->buckets = buckets;
    table->bucket_count = bucket_count;
}

static struct word *table_find(const struct table *table, const char *bytes, size_t length, uint64_t hash)
{
    if (table->bucket_count == 0)
        return NULL;
    struct word *word = table->buckets[hash & (table->bucket_count - 1)];
    while (word != NULL
           && (word->hash != hash || word->length != length || memcmp(word->bytes, bytes, kept_of(length)) != 0))
        word = word->next;
    return word;
}

static void table_insert(struct table *table, struct word *word)
{
    if (table->word_count >= table->bucket_count)
        table_grow(table);
    struct word **bucket = &table->buckets[word->hash & (table->bucket_count - 1)];
    word->next = *bucket;
    *bucket = word;
    table->word_count++;
}

static void table_count(struct table *table, const char *bytes, size_t length, uint64_t hash)
{
    struct word *word = table_find(table, bytes, length, hash);
    if (word == NULL) {
        word = allocate(NULL, sizeof *word + kept_of(length));
        word->hash = hash;
        word->count = 0;
        word->length = length;
        memcpy(word->bytes, bytes, kept_of(length));
        table_insert(table, word);
    }
    word->count++;
}

/* Moves all words of `from` into `into` and leaves nothing of `from`. */
static void table_merge(struct table *into, struct table *from)
{
    for (size_t i = 0; i < from->bucket_count; i++) {
        for (struct word *word = from->buckets[i], *next; word != NULL; word = next) {
            next = word->next;
            struct word *known = table_find(into, word->bytes, word->length, word->hash);
            if (known == NULL) {
                table_insert(into, word);
            } else {
                known->count += word->count;
                free(word);
            }
        }
    }
    free(from->buckets);
}

static void table_free(struct table *table)
{
    struct table nothing = {0};
    for (size_t i = 0; i < table->bucket_count; i++) {
        for (struct word *word = table->buckets[i], *next; word != NULL; word = next) {
            next = word->next;
            free(word);
        }
    }
    free(table->buckets);
    *table = nothing;
}

/* ---- Characters: what wc says of each ---- */

enum class { WHITE, PRINTABLE, NEITHER, UNDECIDED };

/* The class of every byte that is a character by itself; UNDECIDED where only mbrtowc can tell. */
static unsigned char class_of_byte[256];
static bool no_break_spaces_part;

static bool is_no_break_space(wint_t c)
{
    return no_break_spaces_part && (c == 0x00a0 || c == 0x2007 || c == 0x202f || c == 0x2060);
}

static void classify_bytes(void)
{
    bool multibyte = MB_CUR_MAX > 1;
    no_break_spaces_part = getenv("POSIXLY_CORRECT") == NULL;
    for (int c = 0; c < 256; c++) {
        enum class class = NEITHER;
        if (multibyte && c >= 128)
            class = UNDECIDED;
        else if (c == '\n' || c == '\r' || c == '\f' || c == '\t' || c == '\v' || c == ' ')
            class = WHITE;
        else if (isprint(c))
            class = isspace(c) || (!multibyte && is_no_break_space(btowc(c))) ? WHITE : PRINTABLE;
        class_of_byte[c] = (unsigned char)class;
    }
}

static enum class class_of_wide(wint_t c)
{
    if (!iswprint(c))
        return NEITHER;
    return iswspace(c) || is_no_break_space(c) ? WHITE : PRINTABLE;
}

/* ---- Counting one file ---- */

struct counter {
    struct table table;
    uint64_t words;
    /* The run of bytes since the last white space: */
    size_t length;
    uint64_t hash;
    bool printable;         /* it holds a printable character: it is a word */
    char kept[KEPT];
    char chunk[CHUNK];
};

static const uint64_t HASH_START = UINT64_C(0xcbf29ce484222325);    /* FNV-1a */
static const uint64_t HASH_FACTOR = UINT64_C(0x100000001b3);

/* FNV-1a is weak in its low bits for short words; the buckets are chosen by these. */
static uint64_t finish_hash(uint64_t hash)
{
    hash ^= hash >> 32;
    hash *= UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ (hash >> 29);
}

static void end_run(struct counter *counter)
{
    if (counter->printable) {
        counter->words++;
        table_count(&counter->table, counter->kept, counter->length, finish_hash(counter->hash));
    }
    counter->length = 0;
    counter->hash = HASH_START;
    counter->printable = false;
}

static void extend_run(struct counter *counter, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (counter->length < KEPT)
            counter->kept[counter->length] = bytes[i];
        counter->length++;
        counter->hash = (counter->hash ^ (unsigned char)bytes[i]) * HASH_FACTOR;
    }
}

/* Takes `size` bytes of the chunk; returns how many at its end begin a character that the next read ends. */
static size_t count_bytes(struct counter *counter, const char *bytes, size_t size)
{
    while (size > 0) {
        size_t n = 1;
        enum class class = (enum class)class_of_byte[(unsigned char)*bytes];
        if (class == UNDECIDED) {
            wchar_t wide;
            mbstate_t state = {0};
            n = mbrtowc(&wide, bytes, size, &state);
            if (n == (size_t)-2 && size < MB_LEN_MAX)
                return size;
            if (n == 0 || n > size) {
                n = 1;
                class = NEITHER;
            } else {
                class = class_of_wide((wint_t)wide);
            }
        }
        if (class == WHITE) {
            end_run(counter);
        } else {
            extend_run(counter, bytes, n);
            if (class == PRINTABLE)
                counter->printable = true;
        }
        bytes += n;
        size -= n;
    }
    return 0;
}

/* A descriptor, -errno, or NOT_REGULAR. */
static NOINLINE int open_regular(const char *path)
{
    struct stat status;
    /* O_NONBLOCK: should a FIFO have taken the file's place, do not wait for its writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    int result = fstat(fd, &status) != 0 ? -errno : S_ISREG(status.st_mode) ? fd : NOT_REGULAR;
    if (result < 0)
        close(fd);
    return result;
}

/* Bytes read, 0 at the end, or -errno. */
static NOINLINE ssize_t read_some(int fd, char *buffer, size_t size)
{
    ssize_t n;
    do {
        n = read(fd, buffer, size);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* Counts what can be read of the file; false if that was not all, and then stderr says why. */
static bool count_file(struct counter *counter, const char *path)
{
    int fd = open_regular(path);
    if (fd < 0) {
        complain(path, fd);
        return false;
    }
    size_t carried = 0;
    ssize_t n;
    while ((n = read_some(fd, counter->chunk + carried, CHUNK - carried)) > 0) {
        size_t size = carried + (size_t)n;
        carried = count_bytes(counter, counter->chunk, size);
        memmove(counter->chunk, counter->chunk + size - carried, carried);
    }
    extend_run(counter, counter->chunk, carried);
    end_run(counter);
    close(fd);
    if (n < 0)
        complain(path, (int)n);
    return n == 0;
}

/* ---- The stages ---- */

struct pipeline {
    const char *root;
    gort_chan_t *paths;             /* char *: regular files, from the walker to the counters, who free them */
    gort_chan_t *tables;            /* struct table: from the counters to the collector */
    gort_chan_t *finished;          /* no value; closed when all is counted */
    gort_waitgroup_t counters;
    atomic_uint_fast64_t words;
    atomic_uint_fast64_t files;     /* read to their end */
    atomic_uint_fast64_t failures;  /* files and directories that were not read, or not to their end */
};

/* Directories still to be read: the walker keeps at most one open. */
struct pending {
    char **paths;
    size_t count;
    size_t room;
};

static void pending_push(struct pending *pending, char *path)
{
    if (pending->count == pending->room) {
        pending->room = pending->room == 0 ? 64 : 2 * pending->room;
        pending->paths = allocate(pending->paths, pending->room * sizeof *pending->paths);
    }
    pending->paths[pending->count++] = path;
}

static NOINLINE int open_directory(const char *path, DIR **directory)
{
    *directory = opendir(path);
    return *directory == NULL ? -errno : 0;
}

/* The next entry but `.` and `..`: 1 and its name and kind, 0 at the end, or -errno. A name that comes with
   an error is that of an entry which could not be looked at. */
static NOINLINE int next_entry(DIR *directory, const char **name, mode_t *kind)
{
    struct dirent *entry;
    struct stat status;
    *name = NULL;
    do {
        errno = 0;
        entry = readdir(directory);
        if (entry == NULL)
            return -errno;
    } while (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0);
    *name = entry->d_name;
    if (fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return -errno;
    *kind = status.st_mode;
    return 1;
}

static char *join(const char *directory, const char *name)
{
    size_t length = strlen(directory), size = length + strlen(name) + 2;
    char *path = allocate(NULL, size);
    snprintf(path, size, "%s%s%s", directory, length > 0 && directory[length - 1] == '/' ? "" : "/", name);
    return path;
}

static void fail(struct pipeline *pipeline, const char *path, int error)
{
    complain(path, error);
    atomic_fetch_add_explicit(&pipeline->failures, 1, memory_order_relaxed);
}

static void walk_directory(struct pipeline *pipeline, struct pending *pending, const char *path)
{
    DIR *directory;
    int status = open_directory(path, &directory);
    if (status != 0) {
        fail(pipeline, path, status);
        return;
    }
    const char *name;
    mode_t kind;
    while ((status = next_entry(directory, &name, &kind)) != 0) {
        if (status < 0 && name == NULL) {
            fail(pipeline, path, status);
            break;
        }
        char *entry = join(path, name);
        if (status > 0 && S_ISREG(kind)) {
            gort_chan_send(pipeline->paths, &entry);    /* waits while the counters are behind */
            continue;
        }
        if (status > 0 && S_ISDIR(kind)) {
            pending_push(pending, entry);
            continue;
        }
        if (status < 0)
            fail(pipeline, entry, status);
        free(entry);
    }
    closedir(directory);
}

static void walker(void *arg)
{
    struct pipeline *pipeline = arg;
    struct pending pending = {0};
    pending_push(&pending, join(pipeline->root, ""));
    while (pending.count > 0) {
        char *path = pending.paths[--pending.count];
        walk_directory(pipeline, &pending, path);
        free(path);
    }
    free(pending.paths);
    gort_chan_close(pipeline->paths);
}

static void hand_over(struct pipeline *pipeline, struct counter *counter)
{
    struct table nothing = {0};
    gort_chan_send(pipeline->tables, &counter->table);
    counter->table = nothing;
}

static void count_files(void *arg)
{
    struct pipeline *pipeline = arg;
    struct counter *counter = allocate(NULL, sizeof *counter);
    memset(counter, 0, offsetof(struct counter, kept));
    counter->hash = HASH_START;

    char *path;
    while (gort_chan_recv(pipeline->paths, &path) == GORT_OK) {
        uint64_t before = counter->words;
        if (count_file(counter, path))
            atomic_fetch_add_explicit(&pipeline->files, 1, memory_order_relaxed);
        else
            atomic_fetch_add_explicit(&pipeline->failures, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&pipeline->words, counter->words - before, memory_order_relaxed);
        free(path);
        if (counter->table.word_count >= TABLE_FLUSH)
            hand_over(pipeline, counter);
    }
    hand_over(pipeline, counter);
    free(counter);
}

/* Closes the tables' channel once the last counter has handed over its own. */
static void close_tables(void *arg)
{
    struct pipeline *pipeline = arg;
    gort_waitgroup_wait(&pipeline->counters);
    gort_chan_close(pipeline->tables);
}

/* Rewrites one line on the terminal ten times a second. */
static void show_progress(void *arg)
{
    struct pipeline *pipeline = arg;
    while (gort_chan_recv_until(pipeline->finished, NULL, gort_now() + 100 * MILLISECOND) == GORT_ETIMEDOUT) {
        gort_mutex_lock(&stderr_lock);
        clear_progress();
        fprintf(stderr, "%" PRIuFAST64 " words in %" PRIuFAST64 " files",
                atomic_load_explicit(&pipeline->words, memory_order_relaxed),
                atomic_load_explicit(&pipeline->files, memory_order_relaxed));
        fflush(stderr);
        progress_shown = true;
        gort_mutex_unlock(&stderr_lock);
    }
    gort_mutex_lock(&stderr_lock);
    clear_progress();
    gort_mutex_unlock(&stderr_lock);
}

/* ---- The result ---- */

/* Commoner first; the alphabet, byte by byte, settles ties. */
static bool comes_before(const struct word *a, const struct word *b)
{
    if (a->count != b->count)
        return a->count > b->count;
    size_t common = kept_of(a->length < b->length ? a->length : b->length);
    int order = memcmp(a->bytes, b->bytes, common);
    if (order != 0)
        return order < 0;
    return a->length != b->length ? a->length < b->length : a->hash < b->hash;
}

static void print_commonest(const struct table *table)
{
    const struct word *best[COMMONEST];
    size_t found = 0;
    for (size_t i = 0; i < table->bucket_count; i++) {
        for (const struct word *word = table->buckets[i]; word != NULL; word = word->next) {
            size_t place = found;
            while (place > 0 && comes_before(word, best[place - 1]))
                place--;
            if (place == COMMONEST)
                continue;
            if (found < COMMONEST)
                found++;
            for (size_t k = found - 1; k > place; k--)
                best[k] = best[k - 1];
            best[place] = word;
        }
    }
    if (found > 0)
        printf("commonest words:\n");
    for (size_t i = 0; i < found; i++) {
        printf("%12" PRIu64 "  ", best[i]->count);
        if (best[i]->length <= SHOWN) {
            put_escaped(stdout, best[i]->bytes, best[i]->length);
        } else {
            put_escaped(stdout, best[i]->bytes, SHOWN);
            printf("... (%zu bytes)", best[i]->length);
        }
        putchar('\n');
    }
}

struct arguments {
    const char *root;
    int jobs;       /* 0: two for each processor */
};

static int run(void *arg)
{
    const struct arguments *arguments = arg;
    int jobs = arguments->jobs > 0 ? arguments->jobs : 2 * gort_num_cpu();
    int64_t start = gort_now();
    struct pipeline pipeline = {
        .root = arguments->root,
        .paths = gort_chan_new(sizeof(char *), PATHS),
        .tables = gort_chan_new(sizeof(struct table), 0),
        .finished = gort_chan_new(0, 0),
    };
    if (pipeline.paths == NULL || pipeline.tables == NULL || pipeline.finished == NULL)
        die("cannot make a channel", GORT_ENOMEM);

    gort_waitgroup_t others = {0};
    int status = gort_waitgroup_go(&others, walker, &pipeline);
    for (int i = 0; i < jobs && status == GORT_OK; i++)
        status = gort_waitgroup_go(&pipeline.counters, count_files, &pipeline);
    if (status == GORT_OK)
        status = gort_waitgroup_go(&others, close_tables, &pipeline);
    if (status == GORT_OK && isatty(STDERR_FILENO))
        status = gort_waitgroup_go(&others, show_progress, &pipeline);
    if (status != GORT_OK)
        die("cannot start a goroutine", status);

    struct table all = {0}, table;
    while (gort_chan_recv(pipeline.tables, &table) == GORT_OK)
        table_merge(&all, &table);
    gort_chan_close(pipeline.finished);
    gort_waitgroup_wait(&others);

    int64_t elapsed = gort_now() - start;
    uint64_t words = atomic_load(&pipeline.words), files = atomic_load(&pipeline.files);
    uint64_t failures = atomic_load(&pipeline.failures);
    printf("words: %" PRIu64 "\n", words);
    printf("files: %" PRIu64 "\n", files);
    printf("failed: %" PRIu64 "\n", failures);
    printf("files per second: %.0f\n", (double)files * 1e9 / (double)(elapsed > 0 ? elapsed : 1));
    print_commonest(&all);

    table_free(&all);
    gort_chan_release(pipeline.paths);
    gort_chan_release(pipeline.tables);
    gort_chan_release(pipeline.finished);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("wordcount: cannot write the result\n", stderr);
        return 2;
    }
    return failures == 0 ? 0 : 1;
}

static void usage(FILE *out)
{
    fputs("usage: wordcount [-j JOBS] DIR\n"
          "\n"
          "Counts the words of every regular file below DIR, as wc -w does, and prints their total, the\n"
          "files, the files per second and the ten commonest words. Symbolic links are not followed,\n"
          "but DIR itself may be one.\n"
          "\n"
          "  -j JOBS  files read at the same time; default: two for each processor\n"
          "  -h       print this help\n"
          "\n"
          "Exit status: 0 if all was counted; 1 if a file or directory could not be read (it is named on\n"
          "stderr, and the rest is counted); 2 if the arguments are wrong or the work cannot be done.\n",
          out);
}

int main(int argc, char **argv)
{
    struct arguments arguments = {0};
    struct stat status;
    char *end;
    long jobs;
    int option;
    setlocale(LC_CTYPE, "");
    while ((option = getopt(argc, argv, "j:h")) != -1) {
        switch (option) {
        case 'j':
            jobs = strtol(optarg, &end, 10);
            if (end == optarg || *end != '\0' || jobs < 1 || jobs > 100000) {
                fprintf(stderr, "wordcount: -j takes a number from 1 to 100000, not '%s'\n", optarg);
                return 2;
            }
            arguments.jobs = (int)jobs;
            break;
        case 'h':
            usage(stdout);
            return 0;
        default:
            usage(stderr);
            return 2;
        }
    }
    if (argc - optind != 1) {
        fprintf(stderr, "wordcount: %s\n", argc == optind ? "no directory given" : "more than one directory given");
        usage(stderr);
        return 2;
    }
    arguments.root = argv[optind];
    if (stat(arguments.root, &status) != 0) {
        fprintf(stderr, "wordcount: %s: %s\n", arguments.root, strerror(errno));
        return 2;
    }
    if (!S_ISDIR(status.st_mode)) {
        fprintf(stderr, "wordcount: %s: not a directory\n", arguments.root);
        return 2;
    }
    classify_bytes();
    return gort_main(run, &arguments);
}
