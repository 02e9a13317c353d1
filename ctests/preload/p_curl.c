/* libcurl's easy interface, unmodified, from many goroutines. */
/* ctest-needs: packages */
/* ctest-cflags: -Wl,--no-as-needed -lcurl */
#include "p.h"

#include <curl/curl.h>

enum { CLIENTS = 200, DELAY_MS = 300 };

/* ---- the server: one plain thread, which answers each request DELAY_MS after it has come ---- */

static struct {
    int listener;
    struct sockaddr_in address;
    /* Answer nobody before so many have asked. */
    atomic_int wanted;
    atomic_int asked;
    atomic_int threads;
    T_ATOMIC(bool) stop;
} server;

struct connection {
    int fd;
    int64_t due; /* 0: has not asked */
    char request[2048];
    size_t length;
};

static void answer(struct connection *c) {
    char text[256], body[64];
    int number = -1;
    CHECK_EQ(sscanf(c->request, "GET /%d ", &number), 1);
    int body_length = snprintf(body, sizeof body, "answer %d\n", number);
    int length = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", body_length, body);
    CHECK_EQ(send(c->fd, text, (size_t)length, MSG_NOSIGNAL), length);
    c->due = 0;
    c->length = 0;
}

static void *serve(void *arg) {
    static struct connection connections[2 * CLIENTS];
    static struct pollfd set[2 * CLIENTS + 1];
    int n = 0;
    (void)arg;
    while (!atomic_load(&server.stop)) {
        set[0] = (struct pollfd){server.listener, POLLIN, 0};
        for (int i = 0; i < n; i++)
            set[i + 1] = (struct pollfd){connections[i].fd, POLLIN, 0};
        CHECK(poll(set, (nfds_t)n + 1, 5) >= 0);
        int64_t now = gort_now();
        for (int i = n; i-- > 0;) {
            struct connection *c = &connections[i];
            ssize_t got = 1;
            if (set[i + 1].revents) {
                got = recv(c->fd, c->request + c->length, sizeof c->request - 1 - c->length, MSG_DONTWAIT);
                c->length += got > 0 ? (size_t)got : 0;
                c->request[c->length] = '\0';
                if (got > 0 && strstr(c->request, "\r\n\r\n")) {
                    c->due = now + DELAY_MS * T_MS;
                    atomic_fetch_add(&server.asked, 1);
                    int threads = p_threads();
                    if (threads > atomic_load(&server.threads))
                        atomic_store(&server.threads, threads);
                }
            }
            if (c->due && now >= c->due && atomic_load(&server.asked) >= atomic_load(&server.wanted))
                answer(c);
            if (got <= 0) {
                close(c->fd);
                *c = connections[--n];
            }
        }
        if (set[0].revents) {
            int fd = accept4(server.listener, NULL, NULL, SOCK_CLOEXEC);
            CHECK(fd >= 0);
            CHECK(n < 2 * CLIENTS);
            connections[n++] = (struct connection){.fd = fd};
        }
    }
    for (int i = 0; i < n; i++)
        close(connections[i].fd);
    return NULL;
}

/* ---- the clients ---- */

struct client {
    int number;
    int requests;
    char answer[64];
    size_t length;
};

static size_t keep(char *data, size_t size, size_t count, void *arg) {
    struct client *c = arg;
    CHECK(c->length + size * count < sizeof c->answer);
    memcpy(c->answer + c->length, data, size * count);
    c->length += size * count;
    c->answer[c->length] = '\0';
    return size * count;
}

static void fetch(void *arg) {
    struct client *c = arg;
    CURL *curl = curl_easy_init();
    CHECK(curl != NULL);
    for (int i = 0; i < c->requests; i++) {
        char url[64], expected[64], error[CURL_ERROR_SIZE] = "";
        snprintf(url, sizeof url, "http://127.0.0.1:%d/%d", ntohs(server.address.sin_port), c->number);
        snprintf(expected, sizeof expected, "answer %d\n", c->number);
        c->length = 0;
        curl_easy_setopt(curl, CURLOPT_URL, url);
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, c);
        CURLcode code = curl_easy_perform(curl);
        if (code != CURLE_OK)
            FAIL("request %d of %d: %s (%s)", i, c->number, curl_easy_strerror(code), error);
        if (strcmp(c->answer, expected) != 0)
            FAIL("client %d got \"%s\"", c->number, c->answer);
    }
    curl_easy_cleanup(curl);
}

static void fetch_all(int requests, int wanted) {
    static struct client clients[CLIENTS];
    gort_waitgroup_t done = {0};
    atomic_store(&server.stop, false);
    atomic_store(&server.asked, 0);
    atomic_store(&server.threads, 0);
    atomic_store(&server.wanted, wanted);
    server.listener = p_listen(2 * CLIENTS, &server.address);
    pthread_t thread = t_thread(serve, NULL);
    int64_t before = gort_now();
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = (struct client){.number = i, .requests = requests};
    p_crowd(&done, fetch, clients, sizeof clients[0], CLIENTS);
    gort_waitgroup_wait(&done);
    double seconds = (double)(gort_now() - before) / 1e9;
    atomic_store(&server.stop, true);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    close(server.listener);
    CHECK_EQ(atomic_load(&server.asked), CLIENTS * requests);
    printf("%d clients, %d requests each, answered after %d ms: %.3f s in all, %d threads at most\n", CLIENTS,
           requests, DELAY_MS, seconds, atomic_load(&server.threads));
    /* One after the other it would have been a minute for each. */
    CHECK(seconds < CLIENTS * DELAY_MS / 1000.0 / 2 * requests);
    /* A thread for each goroutine is what this is not. */
    CHECK(atomic_load(&server.threads) < CLIENTS / 2);
}

static void requests_are_made_at_the_same_time(void) { fetch_all(1, 0); }
static void nobody_is_answered_before_all_have_asked(void) { fetch_all(1, CLIENTS); }
static void connections_are_kept(void) { fetch_all(3, 0); }

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    p_begin();
    CHECK_EQ(curl_global_init(CURL_GLOBAL_ALL), CURLE_OK);
    RUN_AS_MAIN(requests_are_made_at_the_same_time);
    RUN_AS_MAIN(nobody_is_answered_before_all_have_asked);
    RUN_AS_MAIN(connections_are_kept);
    curl_global_cleanup();
    return t_end();
}
