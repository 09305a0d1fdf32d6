/* Stands in for nginx: a pid file, a first process that says it is the master, and a page on the port that is given. */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char master[] = "nginx: master process";
static const char page[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\nConnection: close\r\n\r\nberth\n";

static void quit(int signal) {
    (void)signal;
    _exit(0);
}

static void serve(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    char request[4096];
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 16) != 0) {
        perror("nginx");
        exit(1);
    }
    for (;;) {
        int peer = accept(listener, NULL, NULL);
        if (peer < 0) continue;
        if (read(peer, request, sizeof request) > 0 && write(peer, page, sizeof page - 1) < 0) perror("nginx");
        close(peer);
    }
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    if (strcmp(argv[0], master) != 0) {
        argv[0] = (char *)master;
        execv("/usr/sbin/nginx", argv);
        return 1;
    }
    signal(SIGTERM, quit);
    signal(SIGQUIT, quit);
    FILE *file = fopen("/var/run/nginx.pid", "w");
    if (file != NULL) {
        fprintf(file, "%d\n", getpid());
        fclose(file);
    }
    serve(atoi(argv[1]));
}
