/* A driver of NVIDIA GPUs that there are not: its libraries libnvidia-ml.so.1 and libcuda.so.1, as far as cockpit asks.

   What it says stands in the file `driver` beside it, a word and a number a line, and is read anew at each call:

       gpus 1      how many there are                       watts 100    that each of them takes
       init 0      what nvmlInit_v2 returns                 energy 0     and the counter of energy
       list 0      the list of processes                    memory 0     the memory in use
       busy 50     per cent of the time that each is at work
       hang 0      1: the counter of energy never answers
       other 0     bytes in use on each by what is not seen
       shift 0     added to each pid, as in a container     untold 0     1: the memory of a process is not told
       cuda 0      what cuInit returns

   A process uses the first GPU by its own name: "gpu 30000000" holds so many bytes of it, and "gpu 5000000 2" of the
   third. So the driver finds it by the pid that it has here, behind a wall too. The counter counts from the boot of the
   machine. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 8, INVALID_ARGUMENT = 2, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, UNINITIALIZED = 1 };

typedef struct { int index; } device;
typedef struct { unsigned long long total, free, used; } memory;
typedef struct { unsigned int pid; unsigned long long used; unsigned int gpu_instance, compute_instance; } process;

static device devices[MOST] = {{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}};
static int ready = 0;

static long long set(const char *word, long long otherwise)
{
    Dl_info own;
    char path[4096], found[64], *slash;
    long long value, is = otherwise;
    if (!dladdr((void *)devices, &own)) return otherwise;
    snprintf(path, sizeof path - 8, "%s", own.dli_fname);
    if ((slash = strrchr(path, '/'))) strcpy(slash + 1, "driver");
    FILE *file = fopen(path, "r");
    while (file && fscanf(file, "%63s %lld", found, &value) == 2)
        if (!strcmp(found, word)) is = value;
    if (file) fclose(file);
    return is;
}

const char *nvmlErrorString(int code)
{
    switch (code) {
    case 1: return "Uninitialized";
    case 2: return "Invalid Argument";
    case 3: return "Not Supported";
    case 4: return "Insufficient Permissions";
    case 6: return "Not Found";
    case 7: return "Insufficient Size";
    case 15: return "GPU is lost";
    case 18: return "Driver/library version mismatch";
    }
    return "Unknown Error";
}

int nvmlInit_v2(void)
{
    int code = set("init", 0);
    ready = !code;
    return code;
}

int nvmlDeviceGetCount_v2(unsigned int *count)
{
    *count = set("gpus", 1);
    return ready ? 0 : UNINITIALIZED;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, device **handle)
{
    if (index >= set("gpus", 1)) return INVALID_ARGUMENT;
    *handle = &devices[index];
    return ready ? 0 : UNINITIALIZED;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, device **handle)
{
    char own[64];
    for (int index = 0; index < set("gpus", 1); index++) {
        snprintf(own, sizeof own, "GPU-%08d-0000-0000-0000-000000000000", index);
        if (!strcmp(own, uuid)) return nvmlDeviceGetHandleByIndex_v2(index, handle);
    }
    return NOT_FOUND;
}

int nvmlDeviceGetTotalEnergyConsumption(device *handle, unsigned long long *millijoules)
{
    struct timespec now;
    (void)handle;
    while (set("hang", 0)) sleep(1);
    clock_gettime(CLOCK_BOOTTIME, &now);
    *millijoules = (now.tv_sec * 1000ULL + now.tv_nsec / 1000000ULL) * set("watts", 100);
    return set("energy", 0);
}

int nvmlDeviceGetUtilizationRates(device *handle, unsigned int rates[2])
{
    (void)handle;
    rates[0] = rates[1] = set("busy", 50);
    return 0;
}

int nvmlDeviceGetComputeRunningProcesses_v3(device *handle, unsigned int *count, process *found)
{
    unsigned int room = *count, number = 0;
    char path[300], name[64];
    long long bytes;
    int on;
    struct dirent *entry;
    DIR *all = opendir("/proc");
    while (all && (entry = readdir(all))) {
        snprintf(path, sizeof path, "/proc/%s/comm", entry->d_name);
        FILE *file = atoi(entry->d_name) ? fopen(path, "r") : NULL;
        on = 0;
        if (file && fgets(name, sizeof name, file) && sscanf(name, "gpu %lld %d", &bytes, &on) >= 1
            && on == handle->index) {
            if (number < room && found)
                found[number] = (process){
                    atoi(entry->d_name) + set("shift", 0), set("untold", 0) ? ~0ULL : (unsigned long long)bytes,
                    0xFFFFFFFF, 0xFFFFFFFF};
            number++;
        }
        if (file) fclose(file);
    }
    if (all) closedir(all);
    *count = number;
    return number > room ? INSUFFICIENT_SIZE : set("list", 0);
}

int nvmlDeviceGetMemoryInfo(device *handle, memory *is)
{
    process found[256];
    unsigned int count = 256;
    is->total = 1ULL << 34;
    is->used = set("other", 0);
    if (!nvmlDeviceGetComputeRunningProcesses_v3(handle, &count, found) || set("list", 0))
        for (unsigned int number = 0; number < count; number++)
            is->used += found[number].used == ~0ULL ? 30000000 : found[number].used;
    is->free = is->total - is->used;
    return set("memory", 0);
}

int cuInit(unsigned int flags) { return flags ? 1 : set("cuda", 0); }

int cuDeviceGet(int *found, int ordinal)
{
    *found = ordinal;
    return ordinal < set("gpus", 1) ? 0 : 101;
}

int cuDevicePrimaryCtxRetain(void **context, int own)
{
    char name[32];
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    snprintf(name, sizeof name, "gpu 5000000 %d", own + (visible ? atoi(visible) : 0));
    *context = devices;
    return prctl(PR_SET_NAME, name, 0, 0, 0);
}
