// A stand-in for libcuda.so.1, for tests of the binding: memory is the host's,
// kernels do nothing, and every call is a line of the file that FAKE_CUDA_LOG
// names. It refuses what the driver refuses: a call without the right context on
// its thread, a handle that it did not give, too much shared memory.
//
// FAKE_CUDA_DEVICES is the number of GPUs, FAKE_CUDA_FAIL makes calls fail:
// "cuMemAlloc_v2=2@3,cuInit=100" is code 2 from the third call on, and 100.
// With -DOLD there is nothing newer than version 9, with -DBROKEN no cuMemAlloc.

#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_CONTEXT = 201, INVALID_PTX = 218, INVALID_HANDLE = 400, NOT_FOUND = 500, CAPTURE_INVALID = 901 };
enum { DEVICES = 8, FUNCTIONS = 64, OBJECTS = 4096 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int retained[DEVICES];
static __thread char *current; // &context[device]
static char context[DEVICES];

static void note(const char *format, ...) {
	const char *path = getenv("FAKE_CUDA_LOG");
	if (path == NULL) return;
	FILE *f = fopen(path, "a");
	if (f == NULL) return;
	va_list args;
	va_start(args, format);
	vfprintf(f, format, args);
	va_end(args);
	fputc('\n', f);
	fclose(f);
}

// failure returns the code that a call is to fail with.
static int failure(const char *call) {
	static struct { const char *call; int n; } calls[64];
	int n = 0;
	for (int i = 0; i < 64; i++) {
		if (calls[i].call == NULL) calls[i].call = call;
		if (strcmp(calls[i].call, call) == 0) {
			n = ++calls[i].n;
			break;
		}
	}
	const char *list = getenv("FAKE_CUDA_FAIL");
	size_t length = strlen(call);
	for (const char *p = list; p != NULL && *p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
		int code = 0, from = 1;
		if (strncmp(p, call, length) == 0 && p[length] == '=' && sscanf(p + length + 1, "%d@%d", &code, &from) >= 1 && n >= from) return code;
	}
	return OK;
}

// BEGIN holds the lock for the rest of the function and fails if it is asked to.
#define RETURN(code) do { int r_ = (code); pthread_mutex_unlock(&lock); return r_; } while (0)
#define BEGIN(call) pthread_mutex_lock(&lock); do { int r = failure(#call); if (r) { note(#call " fails"); RETURN(r); } } while (0)
#define NEED_CONTEXT do { if (current == NULL || retained[current - context] == 0) RETURN(INVALID_CONTEXT); } while (0)

// Live objects of all kinds.
typedef struct { char kind; void *p; size_t size; char *context; } object;
static object objects[OBJECTS];

static void *add(char kind, size_t size) {
	size = (size + 255) & ~(size_t)255;
	void *p = aligned_alloc(256, size ? size : 256);
	memset(p, 0xa5, size ? size : 256);
	for (int i = 0; i < OBJECTS; i++) {
		if (objects[i].p == NULL) {
			objects[i] = (object){kind, p, size, current};
			return p;
		}
	}
	return NULL;
}

// find returns the object of a kind at p in the current context, or over p.
static object *find(char kind, const void *p, size_t n) {
	for (int i = 0; i < OBJECTS; i++) {
		object *o = &objects[i];
		if (o->p == NULL || o->kind != kind || o->context != current) continue;
		if (p == o->p || kind == 'd' && (char *)p >= (char *)o->p && (char *)p + n <= (char *)o->p + o->size) return o;
	}
	return NULL;
}

static int drop(char kind, void *p) {
	object *o = find(kind, p, 0);
	if (o == NULL || o->p != p) return INVALID_HANDLE;
	free(o->p);
	o->p = NULL;
	return OK;
}

int cuInit(unsigned flags) {
	BEGIN(cuInit);
	note("cuInit");
	RETURN(OK);
}

int cuDriverGetVersion(int *v) {
	*v = 12040;
	return OK;
}

int cuGetErrorName(int code, const char **name) {
	*name = code == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : code == NO_DEVICE ? "CUDA_ERROR_NO_DEVICE" : code == INVALID_PTX ? "CUDA_ERROR_INVALID_PTX"
		: code == INVALID_CONTEXT ? "CUDA_ERROR_INVALID_CONTEXT" : code == NOT_FOUND ? "CUDA_ERROR_NOT_FOUND" : code == INVALID_VALUE ? "CUDA_ERROR_INVALID_VALUE"
		: code == INVALID_HANDLE ? "CUDA_ERROR_INVALID_HANDLE" : code == CAPTURE_INVALID ? "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED" : NULL;
	return *name ? OK : INVALID_VALUE;
}

int cuGetErrorString(int code, const char **text) {
	*text = code == OUT_OF_MEMORY ? "out of memory" : code == INVALID_PTX ? "a PTX JIT compilation failed" : NULL;
	return *text ? OK : INVALID_VALUE;
}

static int devices(void) {
	const char *n = getenv("FAKE_CUDA_DEVICES");
	return n ? atoi(n) : 1;
}

int cuDeviceGetCount(int *n) {
	BEGIN(cuDeviceGetCount);
	*n = devices();
	RETURN(OK);
}

int cuDeviceGet(int *d, int index) {
	*d = index;
	return index < 0 || index >= devices() ? INVALID_VALUE : OK;
}

int cuDeviceGetName(char *name, int n, int d) {
	snprintf(name, n, "Fake GPU %d", d);
	return OK;
}

int cuDeviceTotalMem_v2(size_t *n, int d) {
	*n = (size_t)(d + 1) << 30;
	return OK;
}

int cuDeviceGetPCIBusId(char *id, int n, int d) {
	snprintf(id, n, "0000:%02X:00.0", d + 1);
	return OK;
}

// The capability is 9.0, 8.0, 7.5, 7.0, by device.
int cuDeviceGetAttribute(int *v, int attribute, int d) {
	static const int capability[] = {90, 80, 75, 70};
	switch (attribute) {
	case 13: *v = 1980000; break;
	case 16: *v = 132; break;
	case 36: *v = 2619000; break;
	case 37: *v = 5120; break;
	case 38: *v = 50 << 20; break;
	case 75: *v = capability[d % 4] / 10; break;
	case 76: *v = capability[d % 4] % 10; break;
	default: return INVALID_VALUE;
	}
	return OK;
}

int cuDevicePrimaryCtxRetain(void **ctx, int d) {
	BEGIN(cuDevicePrimaryCtxRetain);
	note("cuDevicePrimaryCtxRetain");
	retained[d]++;
	*ctx = &context[d];
	RETURN(OK);
}

// leaks counts what a released context leaves behind.
int cuDevicePrimaryCtxRelease_v2(int d) {
	BEGIN(cuDevicePrimaryCtxRelease_v2);
	int leaks = 0;
	if (--retained[d] == 0) {
		for (int i = 0; i < OBJECTS; i++) leaks += objects[i].p != NULL && objects[i].context == &context[d];
	}
	note("cuDevicePrimaryCtxRelease leaks=%d", leaks);
	RETURN(OK);
}

int cuCtxSetCurrent(void *ctx) {
	current = ctx;
	return OK;
}

int cuMemGetInfo_v2(size_t *free, size_t *total) {
	BEGIN(cuMemGetInfo_v2);
	NEED_CONTEXT;
	*free = *total = 1 << 30;
	RETURN(OK);
}

#ifndef BROKEN
int cuMemAlloc_v2(uint64_t *p, size_t n) {
	BEGIN(cuMemAlloc_v2);
	NEED_CONTEXT;
	if (n > (size_t)1 << 30) RETURN(OUT_OF_MEMORY);
	*p = (uint64_t)(uintptr_t)add('d', n);
	RETURN(OK);
}
#endif

int cuMemFree_v2(uint64_t p) {
	BEGIN(cuMemFree_v2);
	NEED_CONTEXT;
	RETURN(drop('d', (void *)(uintptr_t)p));
}

int cuMemAllocHost_v2(void **p, size_t n) {
	BEGIN(cuMemAllocHost_v2);
	NEED_CONTEXT;
	*p = add('h', n);
	RETURN(OK);
}

int cuMemFreeHost(void *p) {
	BEGIN(cuMemFreeHost);
	NEED_CONTEXT;
	RETURN(drop('h', p));
}

static int copies(uint64_t dst, int dstDevice, uint64_t src, int srcDevice, size_t n, void *s) {
	if (s != NULL && find('s', s, 0) == NULL) return INVALID_HANDLE;
	if (dstDevice && find('d', (void *)(uintptr_t)dst, n) == NULL || srcDevice && find('d', (void *)(uintptr_t)src, n) == NULL) return INVALID_VALUE;
	memmove((void *)(uintptr_t)dst, (void *)(uintptr_t)src, n);
	return OK;
}

int cuMemcpyHtoDAsync_v2(uint64_t dst, const void *src, size_t n, void *s) {
	BEGIN(cuMemcpyHtoDAsync_v2);
	NEED_CONTEXT;
	note("upload %zu", n);
	RETURN(copies(dst, 1, (uint64_t)(uintptr_t)src, 0, n, s));
}

int cuMemcpyDtoHAsync_v2(void *dst, uint64_t src, size_t n, void *s) {
	BEGIN(cuMemcpyDtoHAsync_v2);
	NEED_CONTEXT;
	note("download %zu", n);
	RETURN(copies((uint64_t)(uintptr_t)dst, 0, src, 1, n, s));
}

int cuMemcpyDtoDAsync_v2(uint64_t dst, uint64_t src, size_t n, void *s) {
	BEGIN(cuMemcpyDtoDAsync_v2);
	NEED_CONTEXT;
	note("copy %zu", n);
	RETURN(copies(dst, 1, src, 1, n, s));
}

// A module is its text; the names of its functions begin where ".entry NAME" does.
int cuModuleLoadDataEx(void **m, const void *image, unsigned n, int *options, void **values) {
	BEGIN(cuModuleLoadDataEx);
	NEED_CONTEXT;
	note("cuModuleLoadDataEx");
	if (strstr(image, ".version") == NULL) {
		for (unsigned i = 0; i < n; i++) {
			if (options[i] == 5) snprintf(values[i], (size_t)(uintptr_t)values[i + 1], "ptxas application ptx input, line 1; fatal   : Missing .version directive");
		}
		RETURN(INVALID_PTX);
	}
	size_t size = strlen(image) + 1;
	*m = add('m', size);
	memcpy(*m, image, size);
	RETURN(OK);
}

int cuModuleUnload(void *m) {
	BEGIN(cuModuleUnload);
	NEED_CONTEXT;
	RETURN(drop('m', m));
}

// A function is known by its name, in every module.
typedef struct { char name[128]; int shared; } function;
static function functions[FUNCTIONS];

int cuModuleGetFunction(void **f, void *m, const char *name) {
	BEGIN(cuModuleGetFunction);
	NEED_CONTEXT;
	if (find('m', m, 0) == NULL) RETURN(INVALID_HANDLE);
	size_t length = strlen(name);
	for (const char *p = m; (p = strstr(p, ".entry ")) != NULL; p++) {
		if (strncmp(p + 7, name, length) != 0 || p[7 + length] != '(' && p[7 + length] != ' ' && p[7 + length] != '\n') continue;
		for (int i = 0; i < FUNCTIONS; i++) {
			if (functions[i].name[0] != 0 && strcmp(functions[i].name, name) != 0) continue;
			snprintf(functions[i].name, sizeof functions[i].name, "%s", name);
			functions[i].shared = 48 << 10;
			*f = &functions[i];
			RETURN(OK);
		}
	}
	RETURN(NOT_FOUND);
}

int cuFuncSetAttribute(void *f, int attribute, int value) {
	BEGIN(cuFuncSetAttribute);
	NEED_CONTEXT;
	note("cuFuncSetAttribute %s %d", ((function *)f)->name, value);
	if (attribute != 8 || value > 227 << 10) RETURN(INVALID_VALUE);
	((function *)f)->shared = value;
	RETURN(OK);
}

int cuStreamCreate(void **s, unsigned flags) {
	BEGIN(cuStreamCreate);
	NEED_CONTEXT;
	*s = add('s', 16);
	memset(*s, 0, 16);
	RETURN(OK);
}

int cuStreamDestroy_v2(void *s) {
	BEGIN(cuStreamDestroy_v2);
	NEED_CONTEXT;
	RETURN(drop('s', s));
}

int cuStreamSynchronize(void *s) {
	BEGIN(cuStreamSynchronize);
	NEED_CONTEXT;
	note("cuStreamSynchronize");
	RETURN(find('s', s, 0) ? OK : INVALID_HANDLE);
}

static int clock_ms; // a launch takes a millisecond

// The first int of a stream is 1 while it captures, the second counts launches.
int cuLaunchKernel(function *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *s, void **params, void **extra) {
	BEGIN(cuLaunchKernel);
	NEED_CONTEXT;
	if (find('s', s, 0) == NULL) RETURN(INVALID_HANDLE);
	if (gx == 0 || gy == 0 || gz == 0 || gy > 65535 || gz > 65535 || bx * by * bz == 0 || bx * by * bz > 1024 || shared > (unsigned)f->shared) RETURN(INVALID_VALUE);
	if (params != NULL || extra[0] != (void *)1 || extra[2] != (void *)2 || extra[4] != NULL) RETURN(INVALID_VALUE);
	size_t size = *(size_t *)extra[3];
	int *state = s;
	note("%s %s grid=%u,%u,%u block=%u,%u,%u shared=%u params=%zu:%08x", state[0] ? "captured" : "launch", f->name, gx, gy, gz, bx, by, bz, shared, size,
		size >= 4 ? *(unsigned *)extra[1] : 0);
	state[1]++;
	if (!state[0]) clock_ms++;
	RETURN(OK);
}

typedef struct { int ms; } event;

int cuEventCreate(void **e, unsigned flags) {
	BEGIN(cuEventCreate);
	NEED_CONTEXT;
	*e = add('e', sizeof(event));
	RETURN(OK);
}

int cuEventDestroy_v2(void *e) {
	BEGIN(cuEventDestroy_v2);
	NEED_CONTEXT;
	RETURN(drop('e', e));
}

int cuEventRecord(event *e, void *s) {
	BEGIN(cuEventRecord);
	NEED_CONTEXT;
	if (find('e', e, 0) == NULL || find('s', s, 0) == NULL) RETURN(INVALID_HANDLE);
	e->ms = clock_ms;
	RETURN(OK);
}

int cuEventSynchronize(event *e) { return OK; }

int cuEventElapsedTime(float *ms, event *from, event *to) {
	*ms = to->ms - from->ms;
	return OK;
}

#ifndef OLD
int cuStreamBeginCapture_v2(int *s, int mode) {
	BEGIN(cuStreamBeginCapture_v2);
	NEED_CONTEXT;
	note("cuStreamBeginCapture");
	if (s[0]) RETURN(INVALID_VALUE);
	s[0] = 1;
	s[1] = 0;
	RETURN(OK);
}

int cuStreamEndCapture(int *s, void **graph) {
	BEGIN(cuStreamEndCapture);
	NEED_CONTEXT;
	note("cuStreamEndCapture");
	if (!s[0]) RETURN(INVALID_VALUE);
	s[0] = 0;
	int *g = add('g', sizeof(int));
	*g = s[1];
	*graph = g;
	RETURN(OK);
}

int cuGraphInstantiateWithFlags(void **exec, int *graph, unsigned long long flags) {
	BEGIN(cuGraphInstantiateWithFlags);
	NEED_CONTEXT;
	int *g = add('x', sizeof(int));
	*g = *graph;
	*exec = g;
	RETURN(OK);
}

int cuGraphLaunch(int *exec, void *s) {
	BEGIN(cuGraphLaunch);
	NEED_CONTEXT;
	if (find('x', exec, 0) == NULL || find('s', s, 0) == NULL) RETURN(INVALID_HANDLE);
	note("cuGraphLaunch of %d", *exec);
	clock_ms += *exec;
	RETURN(OK);
}

int cuGraphDestroy(void *g) {
	BEGIN(cuGraphDestroy);
	NEED_CONTEXT;
	RETURN(drop('g', g));
}

int cuGraphExecDestroy(void *g) {
	BEGIN(cuGraphExecDestroy);
	NEED_CONTEXT;
	RETURN(drop('x', g));
}

int cuTensorMapEncodeTiled(void *map, int type, unsigned rank, void *base, const uint64_t *dims, const uint64_t *strides, const uint32_t *box,
	const uint32_t *steps, int interleave, int swizzle, int l2, int fill) {
	BEGIN(cuTensorMapEncodeTiled);
	if ((uintptr_t)map % 64 != 0 || rank < 1 || rank > 5 || (uintptr_t)base % 16 != 0) RETURN(INVALID_VALUE);
	memset(map, 0, 128);
	snprintf(map, 128, "type %d rank %u dims %llu strides %llu box %u steps %u", type, rank, (unsigned long long)dims[0],
		rank > 1 ? (unsigned long long)strides[0] : 0, box[rank - 1], steps[rank - 1]);
	RETURN(OK);
}
#endif
