/*
 * A small web server for the files below a directory: HTTP/1.1 with keep-alive, GET and HEAD. Each connection has
 * a goroutine, which reads a request, answers it, and reads the next, as if nobody else were there.
 *
 *     httpd [-t SECONDS] DIR [ADDRESS]        default 127.0.0.1:8080; port 0: any that is free
 *
 * What a client does is its own affair: a request that makes no sense is refused, one that does not arrive within
 * 30 seconds (-t) of the last answer ends its connection, as does an answer that is not taken in that time, and a
 * client that vanishes is noticed by the next read or write. On SIGINT or SIGTERM the listener is closed, idle
 * connections too, and answers that are under way are finished, for at most 10 seconds; a second SIGINT does not
 * wait for them.
 *
 * Requests with a body, ranges and lists of a directory's files are not supported. Symbolic links are followed.
 */
#define _GNU_SOURCE     /* strptime, timegm */
#include <gort.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    LONGEST_HEAD = 8192,        /* of a request: its line and its fields */
    CHUNK = 32768,              /* read from a file and written at once */
    GRACE = 10,                 /* seconds that answers under way have when the server stops */
};

/* errno is per thread, and a goroutine may go on in another one: whoever uses errno is not inlined, calls nothing
   of gort, and returns what went wrong. */
#define NOINLINE __attribute__((noinline))

static struct {
    int root;                   /* the directory */
    int64_t patience;           /* ns that a client has for its next request, and to take a piece of an answer */
    atomic_bool stopping;
    gort_waitgroup_t running;   /* the goroutine that accepts, and those of connections */
    atomic_ulong requests;
    atomic_ulong accepted;
    gort_mutex_t lock;          /* guards the list */
    struct connection *first;   /* all connections: whom to tell that the server stops */
} server;

/* It lies on its goroutine's stack, and what is never touched there takes no memory: an idle connection uses the
   first page of `in` and of `out`. */
struct connection {
    gort_fd_t *fd;
    struct connection *next, **link;
    unsigned long requests;
    time_t dated;               /* when `date` was made */
    char date[32];
    size_t have;                /* bytes of `in` */
    char in[LONGEST_HEAD + 1];
    char out[CHUNK];
};

/* What a request wants. The strings lie in `in`. */
struct request {
    bool head;                  /* HEAD: the answer without its body */
    bool keep;                  /* the connection is to stay */
    bool old;                   /* HTTP/1.0, where it only stays if both sides say so */
    char *path;                 /* decoded, without `.` and `..`, relative to the root: never empty */
    bool slash;                 /* it ended with a slash */
    const char *query;          /* after its question mark, or "" */
    time_t since;               /* If-Modified-Since, or -1 */
};

/* ---- Parsing: each returns 0, or the status that refuses the request ---- */

static bool is_token(const char *text)
{
    const char *c = text;
    while (*c != '\0' && (isalnum((unsigned char)*c) || strchr("!#$%&'*+-.^_`|~", *c) != NULL))
        c++;
    return c > text && *c == '\0';
}

static int hex(char digit)
{
    const char *digits = "0123456789abcdef";
    const char *at = digit == '\0' ? NULL : strchr(digits, tolower((unsigned char)digit));
    return at == NULL ? -1 : (int)(at - digits);
}

/* Decodes %XX in place. */
static int decode(char *path)
{
    char *to = path;
    for (const char *from = path; *from != '\0'; from++, to++) {
        *to = *from;
        if (*from != '%')
            continue;
        int high = hex(from[1]), low = high < 0 ? -1 : hex(from[2]);
        if (low < 0 || (high == 0 && low == 0))
            return 400;
        *to = (char)(high << 4 | low);
        from += 2;
    }
    *to = '\0';
    return 0;
}

/* Takes `//`, `.` and `..` out of a path that begins with a slash, and that slash; refuses to leave the root. */
static int simplify(struct request *request, char *path)
{
    char *to = path;
    const char *from = path;
    while (*from != '\0') {
        from += strspn(from, "/");
        size_t length = strcspn(from, "/");
        request->slash = length == 0 || (length == 1 && from[0] == '.') || (length == 2 && memcmp(from, "..", 2) == 0);
        if (!request->slash) {
            if (to > path)
                *to++ = '/';
            memmove(to, from, length);
            to += length;
        } else if (length == 2) {
            if (to == path)
                return 400;
            while (to > path && *--to != '/')
                ;
        }
        from += length;
    }
    *to = '\0';
    request->path = to == path ? strcpy(path, ".") : path;
    return 0;
}

/* `/path?query` or `http://host/path?query`. */
static int parse_target(struct request *request, char *target)
{
    for (const char *c = target; *c != '\0'; c++) {
        if (*c <= ' ' || *c >= 0x7f || *c == '#')
            return 400;
    }
    if (strncasecmp(target, "http://", 7) == 0) {
        target += 7;
        target += strcspn(target, "/?");
        if (*target != '/')
            *--target = '/';
    }
    if (*target != '/')
        return 400;
    char *query = strchr(target, '?');
    request->query = "";
    if (query != NULL) {
        request->query = query + 1;
        *query = '\0';
    }
    int status = decode(target);
    return status != 0 ? status : simplify(request, target);
}

/* `METHOD target HTTP/1.1` */
static int parse_line(struct request *request, char *line)
{
    static const char *const others[] = { "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT" };
    char *target = strchr(line, ' ');
    char *version = target == NULL ? NULL : strchr(target + 1, ' ');
    if (version == NULL)
        return 400;
    *target++ = '\0';
    *version++ = '\0';
    if (!is_token(line) || strncmp(version, "HTTP/", 5) != 0 || !isdigit((unsigned char)version[5]) ||
        version[6] != '.' || !isdigit((unsigned char)version[7]) || version[8] != '\0')
        return 400;
    if (version[5] != '1')
        return 505;
    request->old = version[7] == '0';
    request->keep = !request->old;
    request->head = strcmp(line, "HEAD") == 0;
    if (!request->head && strcmp(line, "GET") != 0) {
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
            if (strcmp(line, others[i]) == 0)
                return 405;
        }
        return 501;
    }
    return parse_target(request, target);
}

/* Whether a list such as `keep-alive, Upgrade` names something. */
static bool lists(const char *list, const char *name)
{
    size_t length = strlen(name);
    while (*list != '\0') {
        list += strspn(list, " \t,");
        size_t n = strcspn(list, " \t,");
        if (n == length && strncasecmp(list, name, n) == 0)
            return true;
        list += n;
    }
    return false;
}

static int parse_field(struct request *request, int *hosts, const char *name, const char *value)
{
    struct tm tm = {0};
    if (strcasecmp(name, "Host") == 0) {
        (*hosts)++;
    } else if (strcasecmp(name, "Connection") == 0) {
        request->keep = (request->keep || lists(value, "keep-alive")) && !lists(value, "close");
    } else if (strcasecmp(name, "Transfer-Encoding") == 0) {
        return 501;
    } else if (strcasecmp(name, "Content-Length") == 0) {
        size_t digits = strspn(value, "0123456789");
        if (digits == 0 || value[digits] != '\0')
            return 400;
        if (strspn(value, "0") != digits)
            return 413;
    } else if (strcasecmp(name, "If-Modified-Since") == 0) {
        const char *end = strptime(value, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        if (end != NULL && *end == '\0')
            request->since = timegm(&tm);
    }
    return 0;
}

/* The head of a request, with the empty line at its end. Takes it apart where it lies. */
static int parse(struct request *request, char *head, size_t length)
{
    int hosts = 0, status = 0;
    const char *last = head + length - (head[length - 2] == '\r' ? 2 : 1);
    *request = (struct request){ .since = -1 };
    if (memchr(head, '\0', length) != NULL)
        return 400;
    for (char *line = head, *end; line < last; line = end + 1) {
        end = strchr(line, '\n');
        *end = '\0';
        if (end > line && end[-1] == '\r')
            end[-1] = '\0';
        if (line == head) {
            status = parse_line(request, line);
        } else {
            char *value = strchr(line, ':');
            if (value == NULL)
                return 400;
            *value++ = '\0';
            value += strspn(value, " \t");
            for (char *tail = strchr(value, '\0'); tail > value && (tail[-1] == ' ' || tail[-1] == '\t'); tail--)
                tail[-1] = '\0';
            for (const char *c = value; *c != '\0'; c++) {
                if (iscntrl((unsigned char)*c) && *c != '\t')
                    return 400;
            }
            if (!is_token(line))
                return 400;
            status = parse_field(request, &hosts, line, value);
        }
        if (status != 0)
            return status;
    }
    return hosts > 1 || (hosts == 0 && !request->old) ? 400 : 0;
}

/* ---- Answers ---- */

static const char *reason(int status)
{
    static const struct { int status; const char *text; } known[] = {
        { 200, "OK" }, { 301, "Moved Permanently" }, { 304, "Not Modified" }, { 400, "Bad Request" },
        { 403, "Forbidden" }, { 404, "Not Found" }, { 405, "Method Not Allowed" }, { 408, "Request Timeout" },
        { 413, "Content Too Large" }, { 414, "URI Too Long" }, { 431, "Request Header Fields Too Large" },
        { 501, "Not Implemented" }, { 503, "Service Unavailable" }, { 505, "HTTP Version Not Supported" },
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].status == status)
            return known[i].text;
    }
    return "Internal Server Error";
}

static const char *type_of(const char *path)
{
    static const struct { const char *suffix, *type; } known[] = {
        { ".html", "text/html; charset=utf-8" }, { ".htm", "text/html; charset=utf-8" },
        { ".css", "text/css; charset=utf-8" },   { ".js", "text/javascript; charset=utf-8" },
        { ".txt", "text/plain; charset=utf-8" }, { ".md", "text/markdown; charset=utf-8" },
        { ".json", "application/json" },         { ".xml", "text/xml; charset=utf-8" },
        { ".svg", "image/svg+xml" },             { ".png", "image/png" },
        { ".jpg", "image/jpeg" },                { ".jpeg", "image/jpeg" },
        { ".gif", "image/gif" },                 { ".webp", "image/webp" },
        { ".ico", "image/x-icon" },              { ".pdf", "application/pdf" },
        { ".wasm", "application/wasm" },         { ".woff2", "font/woff2" },
    };
    const char *suffix = strrchr(path, '.');
    for (size_t i = 0; suffix != NULL && i < sizeof known / sizeof known[0]; i++) {
        if (strcasecmp(known[i].suffix, suffix) == 0)
            return known[i].type;
    }
    return "application/octet-stream";
}

static void format_date(char date[32], time_t when)
{
    struct tm tm;
    strftime(date, 32, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&when, &tm));
}

/* Adds to `out`, where there is always room: no field is longer than what a request's head may be. */
static size_t add(struct connection *c, size_t length, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(c->out + length, CHUNK - length, format, arguments);
    va_end(arguments);
    return length + (size_t)n;
}

static size_t begin_answer(struct connection *c, const struct request *request, int status)
{
    time_t now = time(NULL);
    if (now != c->dated) {
        format_date(c->date, now);
        c->dated = now;
    }
    size_t length = add(c, 0, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, reason(status), c->date);
    if (!request->keep)
        return add(c, length, "Connection: close\r\n");
    return request->old ? add(c, length, "Connection: keep-alive\r\n") : length;
}

static bool send_out(struct connection *c, size_t length)
{
    gort_fd_set_write_deadline(c->fd, gort_now() + server.patience);
    return gort_fd_write(c->fd, c->out, length) == (int64_t)length;
}

/* A short answer: one that says no more than its status. */
static bool say(struct connection *c, const struct request *request, int status)
{
    char body[64];
    int size = snprintf(body, sizeof body, "%d %s\n", status, reason(status));
    size_t length = begin_answer(c, request, status);
    if (status == 405)
        length = add(c, length, "Allow: GET, HEAD\r\n");
    length = add(c, length, "Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n", size);
    return send_out(c, request->head ? length : add(c, length, "%s", body));
}

/* Refuses a request, of which more may be on its way, and the connection with it. What still comes is dropped for a
   while: to close at once would reset the connection, perhaps before the client has read the answer. */
static bool refuse(struct connection *c, int status)
{
    static const struct request nothing = {0};
    int64_t until = gort_now() + GORT_SECOND;
    if (say(c, &nothing, status) && gort_fd_shutdown(c->fd, SHUT_WR) == GORT_OK) {
        gort_fd_set_read_deadline(c->fd, until);
        while (!atomic_load(&server.stopping) && gort_fd_read(c->fd, c->out, CHUNK) > 0)
            ;
    }
    return false;
}

/* To the same directory, with a slash. */
static bool redirect(struct connection *c, const struct request *request)
{
    size_t length = add(c, begin_answer(c, request, 301), "Location: /");
    for (const char *p = request->path; *p != '\0'; p++) {
        if (isalnum((unsigned char)*p) || strchr("/-._~", *p) != NULL)
            c->out[length++] = *p;
        else
            length = add(c, length, "%%%02X", (unsigned char)*p);
    }
    const char *mark = *request->query == '\0' ? "" : "?";
    return send_out(c, add(c, length, "/%s%s\r\nContent-Length: 0\r\n\r\n", mark, request->query));
}

/* A descriptor, or -errno. Opening and reading a file may wait for the disk: if for long, another thread takes over
   the other goroutines. */
static NOINLINE int open_file(int directory, const char *path, struct stat *status)
{
    /* O_NONBLOCK: a FIFO is not to wait for its writer. */
    int fd = openat(directory, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    if (fstat(fd, status) == 0)
        return fd;
    int error = -errno;
    close(fd);
    return error;
}

static NOINLINE ssize_t read_some(int fd, char *buffer, size_t size)
{
    ssize_t n;
    do {
        n = read(fd, buffer, size);
    } while (n < 0 && errno == EINTR);
    return n;
}

static int status_of(int error)
{
    switch (error) {
    case -ENOENT: case -ENOTDIR: case -ENAMETOOLONG: case -ELOOP: case -ENXIO:
        return 404;
    case -EACCES: case -EPERM:
        return 403;
    case -EMFILE: case -ENFILE: case -ENOMEM:
        return 503;
    default:
        return 500;
    }
}

/* The head, and as much of the file as it said, be it longer by now; if it is shorter, the connection is closed. */
static bool send_file(struct connection *c, const struct request *request, const char *name, int fd,
                      const struct stat *file)
{
    char modified[32];
    format_date(modified, file->st_mtime);
    bool unchanged = request->since != -1 && file->st_mtime <= request->since;
    size_t length = begin_answer(c, request, unchanged ? 304 : 200);
    length = add(c, length, "Last-Modified: %s\r\n", modified);
    if (!unchanged)
        length = add(c, length, "Content-Type: %s\r\nContent-Length: %lld\r\n", type_of(name), (long long)file->st_size);
    length = add(c, length, "\r\n");
    size_t left = request->head || unchanged ? 0 : (size_t)file->st_size;
    while (left > 0) {
        ssize_t n = read_some(fd, c->out + length, left < CHUNK - length ? left : CHUNK - length);
        if (n <= 0)
            return false;
        left -= (size_t)n;
        length += (size_t)n;
        if (left > 0) {
            if (!send_out(c, length))
                return false;
            length = 0;
        }
    }
    return send_out(c, length);
}

static bool answer(struct connection *c, const struct request *request)
{
    struct stat file;
    const char *name = request->path;
    int fd = open_file(server.root, name, &file);
    if (fd >= 0 && S_ISDIR(file.st_mode) && request->slash) {
        int directory = fd;
        fd = open_file(directory, name = "index.html", &file);
        close(directory);
    } else if (fd >= 0 && S_ISDIR(file.st_mode)) {
        close(fd);
        return redirect(c, request);
    } else if (fd >= 0 && request->slash) {
        close(fd);
        fd = -ENOTDIR;
    }
    if (fd < 0)
        return say(c, request, status_of(fd));
    bool sent = S_ISREG(file.st_mode) ? send_file(c, request, name, fd, &file) : say(c, request, 404);
    close(fd);
    return sent;
}

/* ---- Connections ---- */

/* The length of the first request's head, with the empty line at its end; 0 if that is not there yet. */
static size_t head_of(const struct connection *c)
{
    const char *end = c->in + c->have, *at = c->in;
    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        at++;
        if (at < end && *at == '\n')
            return (size_t)(at + 1 - c->in);
        if (end - at > 1 && at[0] == '\r' && at[1] == '\n')
            return (size_t)(at + 2 - c->in);
    }
    return 0;
}

static void drop(struct connection *c, size_t length)
{
    c->have -= length;
    memmove(c->in, c->in + length, c->have);
}

/* An empty line before a request is not one. */
static void skip_empty(struct connection *c)
{
    size_t length = 0;
    while (length < c->have && (c->in[length] == '\r' || c->in[length] == '\n'))
        length++;
    if (length > 0)
        drop(c, length);
}

/* Reads one request and answers it; true if another may follow. */
static bool serve_one(struct connection *c)
{
    struct request request;
    size_t length;
    /* Whoever stops the server says so first and changes the deadlines then: either we see it here, or our wait
       is ended. */
    gort_fd_set_read_deadline(c->fd, gort_now() + server.patience);
    if (atomic_load(&server.stopping))
        return false;
    while (skip_empty(c), (length = head_of(c)) == 0) {
        if (c->have == LONGEST_HEAD)
            return refuse(c, memchr(c->in, '\n', c->have) == NULL ? 414 : 431);
        int64_t n = gort_fd_read(c->fd, c->in + c->have, LONGEST_HEAD - c->have);
        if (n == GORT_ETIMEDOUT && c->have > 0 && !atomic_load(&server.stopping))
            return refuse(c, 408);
        if (n <= 0)
            return false;
        c->have += (size_t)n;
    }
    c->requests++;
    int status = parse(&request, c->in, length);
    if (status != 0)
        return refuse(c, status);
    if (atomic_load(&server.stopping))
        request.keep = false;
    bool sent = answer(c, &request);
    drop(c, length);
    return sent && request.keep;
}

static void enter(struct connection *c)
{
    gort_mutex_lock(&server.lock);
    c->next = server.first;
    c->link = &server.first;
    if (c->next != NULL)
        c->next->link = &c->next;
    server.first = c;
    gort_mutex_unlock(&server.lock);
}

static void leave(struct connection *c)
{
    gort_mutex_lock(&server.lock);
    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    gort_mutex_unlock(&server.lock);
}

static void serve(void *arg)
{
    struct connection c;        /* most of it must stay untouched: no initialiser */
    c.fd = arg;
    c.requests = 0;
    c.dated = 0;
    c.have = 0;
    enter(&c);
    while (serve_one(&c))
        ;
    leave(&c);
    gort_fd_release(c.fd);
    atomic_fetch_add(&server.requests, c.requests);
}

static void accept_all(void *arg)
{
    gort_fd_t *listener = arg;
    for (;;) {
        int err = GORT_OK;
        gort_fd_t *client = gort_accept(listener, &err);
        if (client != NULL) {
            atomic_fetch_add(&server.accepted, 1);
            err = gort_waitgroup_go(&server.running, serve, client);
            if (err != GORT_OK)
                gort_fd_release(client);
        }
        if (err == GORT_ECLOSED)
            return;
        if (err != GORT_OK) {
            fprintf(stderr, "httpd: %s\n", gort_strerror(err));
            gort_sleep(10 * GORT_MILLISECOND);  /* out of descriptors, say: until some client leaves */
        }
    }
}

static void stop(gort_fd_t *listener)
{
    atomic_store(&server.stopping, true);
    gort_fd_close(listener);
    gort_mutex_lock(&server.lock);
    for (struct connection *c = server.first; c != NULL; c = c->next)
        gort_fd_set_read_deadline(c->fd, 0);
    gort_mutex_unlock(&server.lock);
    if (gort_waitgroup_wait_until(&server.running, gort_now() + GRACE * GORT_SECOND) != GORT_ETIMEDOUT)
        return;
    gort_mutex_lock(&server.lock);
    for (struct connection *c = server.first; c != NULL; c = c->next)
        gort_fd_close(c->fd);
    gort_mutex_unlock(&server.lock);
    gort_waitgroup_wait(&server.running);
}

static int run(void *arg)
{
    const char *address = arg;
    char bound[128];
    int err = GORT_OK, signo;
    gort_fd_t *listener = gort_listen(address[0] == '/' || address[0] == '@' ? "unix" : "tcp", address, &err);
    if (listener != NULL)
        err = gort_fd_local_addr(listener, bound, sizeof bound);
    if (listener == NULL || err < 0) {
        fprintf(stderr, "httpd: %s: %s\n", address, gort_strerror(err));
        return 1;
    }
    gort_chan_t *signals = gort_chan_new(sizeof(int), 1);
    gort_signal_notify(signals, SIGINT);
    gort_signal_notify(signals, SIGTERM);
    gort_waitgroup_go(&server.running, accept_all, listener);
    printf("listening on %s\n", bound);
    fflush(stdout);

    gort_chan_recv(signals, &signo);
    gort_signal_stop(signals);  /* from here on a signal does what it does by itself: it ends the process */
    gort_chan_release(signals);
    stop(listener);
    gort_fd_release(listener);
    printf("stopped after %lu requests on %lu connections\n", atomic_load(&server.requests),
           atomic_load(&server.accepted));
    return 0;
}

/* As many connections as the system allows. */
static void raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
    double seconds = 30;
    bool understood = true;
    int option;
    while ((option = getopt(argc, argv, "t:")) != -1) {
        if (option == 't')
            seconds = atof(optarg);
        understood &= option == 't' && seconds > 0 && seconds < 1e6;
    }
    if (!understood || (argc - optind != 1 && argc - optind != 2)) {
        fprintf(stderr, "usage: httpd [-t SECONDS] DIR [ADDRESS]\n");
        return 2;
    }
    server.patience = (int64_t)(seconds * (double)GORT_SECOND);
    server.root = open(argv[optind], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (server.root < 0) {
        perror(argv[optind]);
        return 1;
    }
    raise_limit();
    return gort_main(run, argc - optind == 2 ? argv[optind + 1] : "127.0.0.1:8080");
}
