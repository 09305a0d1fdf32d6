/* Says as whom it runs: root, from a file that is setuid, unless no_new_privs forbids that. */
#include <stdio.h>
#include <unistd.h>

int main(void) {
    printf("Effective uid: %d\n", (int)geteuid());
    return 0;
}
