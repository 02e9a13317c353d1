/*
 * Web pages fetched with libcurl, all at once. curl_easy_perform blocks its thread, so gort_blocking runs it on one
 * that may: the goroutines that wait for their pages cost the others nothing, and all the pages together take about
 * as long as the slowest. (With libgort_preload.so, docs/preload.md, a goroutine may call curl_easy_perform by
 * itself.)
 *
 *     fetch URL...        without a URL: ten pages of a server of its own, slow on purpose
 *
 * For each page its status and size, in the order of the URLs; how long it took goes to stderr. Exit status 1 if a
 * page could not be had. Needs libcurl: link with -lcurl.
 */
#include <gort.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 64 };          /* each has a thread while it waits */

struct page {
    const char *url;
    CURLcode result;
    long status;
    size_t bytes;
    int64_t took;
};

/* ---- Fetching ---- */

static size_t count(char *data, size_t one, size_t n, void *arg)
{
    struct page *page = arg;
    (void)data;
    page->bytes += one * n;
    return one * n;
}

/* Not on a goroutine's stack: here it may block. */
static void *perform(void *arg)
{
    struct page *page = arg;
    CURL *curl = curl_easy_init();
    if (curl == NULL) {
        page->result = CURLE_OUT_OF_MEMORY;
        return NULL;
    }
    curl_easy_setopt(curl, CURLOPT_URL, page->url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 30L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 120L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, count);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, page);
    page->result = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &page->status);
    curl_easy_cleanup(curl);
    return NULL;
}

static int fetch(gort_ctx_t *ctx, void *arg)
{
    struct page *page = arg;
    (void)ctx;
    int64_t start = gort_now();
    gort_blocking(perform, page);
    page->took = gort_now() - start;
    return GORT_OK;
}

static double seconds(int64_t ns)
{
    return (double)ns / (double)GORT_SECOND;
}

/* `hidden` letters of the URLs are not shown. */
static int fetch_all(struct page *pages, size_t n, size_t hidden)
{
    int64_t start = gort_now(), one_by_one = 0, slowest = 0;
    gort_group_t *group = gort_group_new(NULL);
    int status = group == NULL ? GORT_ENOMEM : GORT_OK, failed = 0;
    if (group != NULL) {
        gort_group_set_limit(group, AT_ONCE);
        for (size_t i = 0; i < n && status == GORT_OK; i++)
            status = gort_group_go(group, fetch, &pages[i]);
        gort_group_wait(group);
        gort_group_release(group);
    }
    if (status != GORT_OK) {
        fprintf(stderr, "fetch: %s\n", gort_strerror(status));
        return 1;
    }
    for (size_t i = 0; i < n; i++) {
        if (pages[i].result == CURLE_OK)
            printf("%s: %ld, %zu bytes\n", pages[i].url + hidden, pages[i].status, pages[i].bytes);
        else
            printf("%s: %s\n", pages[i].url + hidden, curl_easy_strerror(pages[i].result));
        failed |= pages[i].result != CURLE_OK;
        one_by_one += pages[i].took;
        slowest = pages[i].took > slowest ? pages[i].took : slowest;
    }
    fprintf(stderr, "all in %.2f s; the slowest alone took %.2f s, one after the other they would take %.2f s\n",
            seconds(gort_now() - start), seconds(slowest), seconds(one_by_one));
    return failed;
}

/* ---- A server: `GET /300` is answered after 300 ms, with 300 bytes ---- */

static void answer(void *arg)
{
    gort_fd_t *client = arg;
    char request[4096], page[2048];
    size_t have = 0;
    int64_t n;
    while (have < sizeof request - 1 && (n = gort_fd_read(client, request + have, sizeof request - 1 - have)) > 0) {
        have += (size_t)n;
        request[have] = '\0';
        if (strstr(request, "\r\n\r\n") == NULL)
            continue;
        int size = strncmp(request, "GET /", 5) == 0 ? atoi(request + 5) : 0;
        size = size < 1 ? 1 : size > 1000 ? 1000 : size;
        gort_sleep(size * GORT_MILLISECOND);
        int length = snprintf(page, sizeof page,
                              "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
                              "Connection: close\r\n\r\n%0*d", size, size, 0);
        gort_fd_write(client, page, (size_t)length);
        break;
    }
    gort_fd_release(client);
}

static void accept_all(void *arg)
{
    gort_fd_t *listener = arg, *client;
    while ((client = gort_accept(listener, NULL)) != NULL) {
        if (gort_spawn(answer, client) != GORT_OK)
            gort_fd_release(client);
    }
}

static int fetch_own(void)
{
    enum { PAGES = 10 };
    struct page pages[PAGES] = {0};
    char urls[PAGES][96], address[64];
    int err = GORT_OK;
    gort_fd_t *listener = gort_listen("tcp", "127.0.0.1:0", &err);
    if (listener != NULL)
        err = gort_fd_local_addr(listener, address, sizeof address);
    if (listener == NULL || err < 0) {
        fprintf(stderr, "fetch: cannot listen: %s\n", gort_strerror(err));
        return 1;
    }
    gort_waitgroup_t accepting = {0};
    gort_waitgroup_go(&accepting, accept_all, listener);
    for (int i = 0; i < PAGES; i++) {
        snprintf(urls[i], sizeof urls[i], "http://%s/%d", address, 50 * (i + 1));
        pages[i].url = urls[i];
    }
    int result = fetch_all(pages, PAGES, strlen("http://") + strlen(address));
    gort_fd_close(listener);
    gort_waitgroup_wait(&accepting);
    gort_fd_release(listener);
    return result;
}

struct arguments {
    int count;
    char **urls;
};

static int run(void *arg)
{
    const struct arguments *arguments = arg;
    if (arguments->count == 0)
        return fetch_own();
    struct page *pages = calloc((size_t)arguments->count, sizeof *pages);
    if (pages == NULL) {
        fprintf(stderr, "fetch: out of memory\n");
        return 1;
    }
    for (int i = 0; i < arguments->count; i++)
        pages[i].url = arguments->urls[i];
    int result = fetch_all(pages, (size_t)arguments->count, 0);
    free(pages);
    return result;
}

int main(int argc, char **argv)
{
    struct arguments arguments = { argc - 1, argv + 1 };
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        fprintf(stderr, "fetch: libcurl does not start\n");
        return 1;
    }
    int result = gort_main(run, &arguments);
    curl_global_cleanup();
    return result;
}
