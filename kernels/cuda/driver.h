// The part of CUDA's driver API that package cuda calls, by function pointers
// from dlopen: no header or library of CUDA's is needed to build. Types and
// constants are those of the driver's stable ABI.
//
// A context is current per thread and a goroutine moves between threads, so
// every function below makes the context current within the call that uses it.

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int CUresult;
typedef int CUdevice;
typedef uint64_t CUdeviceptr;
typedef struct CUctx_st *CUcontext;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef struct CUgraph_st *CUgraph;
typedef struct CUgraphExec_st *CUgraphExec;

enum { CUDA_ERROR_NOT_SUPPORTED = 801 };

// F(name, symbol, parameters) for what every driver has …
#define REQUIRED(F) \
	F(init, cuInit, (unsigned)) \
	F(driverVersion, cuDriverGetVersion, (int *)) \
	F(errorName, cuGetErrorName, (CUresult, const char **)) \
	F(errorString, cuGetErrorString, (CUresult, const char **)) \
	F(deviceCount, cuDeviceGetCount, (int *)) \
	F(deviceGet, cuDeviceGet, (CUdevice *, int)) \
	F(deviceName, cuDeviceGetName, (char *, int, CUdevice)) \
	F(deviceMemory, cuDeviceTotalMem_v2, (size_t *, CUdevice)) \
	F(deviceAttribute, cuDeviceGetAttribute, (int *, int, CUdevice)) \
	F(devicePCI, cuDeviceGetPCIBusId, (char *, int, CUdevice)) \
	F(contextRetain, cuDevicePrimaryCtxRetain, (CUcontext *, CUdevice)) \
	F(contextRelease, cuDevicePrimaryCtxRelease_v2, (CUdevice)) \
	F(setCurrent, cuCtxSetCurrent, (CUcontext)) \
	F(memoryInfo, cuMemGetInfo_v2, (size_t *, size_t *)) \
	F(alloc, cuMemAlloc_v2, (CUdeviceptr *, size_t)) \
	F(free, cuMemFree_v2, (CUdeviceptr)) \
	F(allocHost, cuMemAllocHost_v2, (void **, size_t)) \
	F(freeHost, cuMemFreeHost, (void *)) \
	F(upload, cuMemcpyHtoDAsync_v2, (CUdeviceptr, const void *, size_t, CUstream)) \
	F(download, cuMemcpyDtoHAsync_v2, (void *, CUdeviceptr, size_t, CUstream)) \
	F(copy, cuMemcpyDtoDAsync_v2, (CUdeviceptr, CUdeviceptr, size_t, CUstream)) \
	F(moduleLoad, cuModuleLoadDataEx, (CUmodule *, const void *, unsigned, int *, void **)) \
	F(moduleUnload, cuModuleUnload, (CUmodule)) \
	F(moduleFunction, cuModuleGetFunction, (CUfunction *, CUmodule, const char *)) \
	F(functionSet, cuFuncSetAttribute, (CUfunction, int, int)) \
	F(launch, cuLaunchKernel, (CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, CUstream, void **, void **)) \
	F(streamCreate, cuStreamCreate, (CUstream *, unsigned)) \
	F(streamDestroy, cuStreamDestroy_v2, (CUstream)) \
	F(streamSync, cuStreamSynchronize, (CUstream)) \
	F(eventCreate, cuEventCreate, (CUevent *, unsigned)) \
	F(eventDestroy, cuEventDestroy_v2, (CUevent)) \
	F(eventRecord, cuEventRecord, (CUevent, CUstream)) \
	F(eventSync, cuEventSynchronize, (CUevent)) \
	F(eventElapsed, cuEventElapsedTime, (float *, CUevent, CUevent))

// … and for what came with version 10 or later: without them nothing is captured
// and no tensor map is made.
#define OPTIONAL(F) \
	F(captureBegin, cuStreamBeginCapture_v2, (CUstream, int)) \
	F(captureEnd, cuStreamEndCapture, (CUstream, CUgraph *)) \
	F(graphInstantiate, cuGraphInstantiateWithFlags, (CUgraphExec *, CUgraph, unsigned long long)) \
	F(graphLaunch, cuGraphLaunch, (CUgraphExec, CUstream)) \
	F(graphDestroy, cuGraphDestroy, (CUgraph)) \
	F(graphExecDestroy, cuGraphExecDestroy, (CUgraphExec)) \
	F(tensorMap, cuTensorMapEncodeTiled, (void *, int, unsigned, void *, const uint64_t *, const uint64_t *, const uint32_t *, const uint32_t *, int, int, int, int))

typedef struct {
	void *library;
#define FIELD(name, symbol, parameters) CUresult(*name) parameters;
	REQUIRED(FIELD) OPTIONAL(FIELD)
#undef FIELD
} api;

// load returns the library's functions, or NULL with what is wrong in why.
static api *load(const char *path, char *why, size_t n) {
	api *a = calloc(1, sizeof(api));
	if (a == NULL) {
		snprintf(why, n, "no memory");
		return NULL;
	}
	a->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (a->library == NULL) {
		snprintf(why, n, "%s", dlerror());
		free(a);
		return NULL;
	}
#define LOOKUP(name, symbol, parameters) *(void **)&a->name = dlsym(a->library, #symbol);
	REQUIRED(LOOKUP) OPTIONAL(LOOKUP)
#undef LOOKUP
#define CHECK(name, symbol, parameters) \
	if (a->name == NULL) { \
		snprintf(why, n, "%s: no function " #symbol, path); \
		dlclose(a->library); \
		free(a); \
		return NULL; \
	}
	REQUIRED(CHECK)
#undef CHECK
	return a;
}

static void unload(api *a) {
	dlclose(a->library);
	free(a);
}

static void errorText(api *a, CUresult code, const char **name, const char **text) {
	if (a->errorName(code, name) != 0) *name = NULL;
	if (a->errorString(code, text) != 0) *text = NULL;
}

// ENTER makes the context current on this thread.
#define ENTER(a, ctx) \
	do { \
		CUresult r = (a)->setCurrent(ctx); \
		if (r != 0) return r; \
	} while (0)

static CUresult init(api *a, int *version, int *count) {
	CUresult r = a->init(0);
	if (r == 0) r = a->driverVersion(version);
	if (r == 0) r = a->deviceCount(count);
	return r;
}

static CUresult deviceInfo(api *a, int index, CUdevice *d, char *name, char *pci, int n, size_t *memory) {
	CUresult r = a->deviceGet(d, index);
	if (r == 0) r = a->deviceName(name, n, *d);
	if (r == 0) r = a->devicePCI(pci, n, *d);
	if (r == 0) r = a->deviceMemory(memory, *d);
	return r;
}

static CUresult deviceAttribute(api *a, int *value, int attribute, CUdevice d) { return a->deviceAttribute(value, attribute, d); }
static CUresult contextRetain(api *a, CUcontext *ctx, CUdevice d) { return a->contextRetain(ctx, d); }
static CUresult contextRelease(api *a, CUdevice d) { return a->contextRelease(d); }

static CUresult memoryInfo(api *a, CUcontext ctx, size_t *free, size_t *total) {
	ENTER(a, ctx);
	return a->memoryInfo(free, total);
}

static CUresult memoryAlloc(api *a, CUcontext ctx, CUdeviceptr *p, size_t n) {
	ENTER(a, ctx);
	return a->alloc(p, n);
}

static CUresult memoryFree(api *a, CUcontext ctx, CUdeviceptr p) {
	ENTER(a, ctx);
	return a->free(p);
}

static CUresult hostAlloc(api *a, CUcontext ctx, void **p, size_t n) {
	ENTER(a, ctx);
	return a->allocHost(p, n);
}

static CUresult hostFree(api *a, CUcontext ctx, void *p) {
	ENTER(a, ctx);
	return a->freeHost(p);
}

static CUresult upload(api *a, CUcontext ctx, CUdeviceptr dst, const void *src, size_t n, CUstream s) {
	ENTER(a, ctx);
	return a->upload(dst, src, n, s);
}

static CUresult download(api *a, CUcontext ctx, void *dst, CUdeviceptr src, size_t n, CUstream s) {
	ENTER(a, ctx);
	return a->download(dst, src, n, s);
}

static CUresult copy(api *a, CUcontext ctx, CUdeviceptr dst, CUdeviceptr src, size_t n, CUstream s) {
	ENTER(a, ctx);
	return a->copy(dst, src, n, s);
}

// moduleLoad compiles PTX. What the compiler says of errors goes to log.
static CUresult moduleLoad(api *a, CUcontext ctx, CUmodule *m, const char *ptx, char *log, size_t n) {
	enum { JIT_ERROR_LOG_BUFFER = 5, JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6 };
	int options[] = {JIT_ERROR_LOG_BUFFER, JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
	void *values[] = {log, (void *)(uintptr_t)n};
	ENTER(a, ctx);
	return a->moduleLoad(m, ptx, 2, options, values);
}

static CUresult moduleUnload(api *a, CUcontext ctx, CUmodule m) {
	ENTER(a, ctx);
	return a->moduleUnload(m);
}

static CUresult moduleFunction(api *a, CUcontext ctx, CUfunction *f, CUmodule m, const char *name) {
	ENTER(a, ctx);
	return a->moduleFunction(f, m, name);
}

// functionShared lets a kernel ask for so many bytes of shared memory at a
// launch; up to 48 KiB every kernel may.
static CUresult functionShared(api *a, CUcontext ctx, CUfunction f, int bytes) {
	enum { FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8 };
	ENTER(a, ctx);
	return a->functionSet(f, FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, bytes);
}

// command is one launch, whose parameters are size bytes from offset on of those
// of all commands.
typedef struct {
	CUfunction function;
	unsigned grid[3], block[3], shared;
	unsigned offset, size;
} command;

// launch queues n commands and sets at to the one that failed, or to n.
static CUresult launch(api *a, CUcontext ctx, CUstream s, const command *list, int n, char *parameters, int *at) {
	ENTER(a, ctx);
	for (*at = 0; *at < n; ++*at) {
		const command *c = &list[*at];
		size_t size = c->size;
		// The constants are CU_LAUNCH_PARAM_BUFFER_POINTER, …_SIZE and _END.
		void *extra[] = {(void *)1, parameters + c->offset, (void *)2, &size, (void *)0};
		CUresult r = a->launch(c->function, c->grid[0], c->grid[1], c->grid[2], c->block[0], c->block[1], c->block[2], c->shared, s, NULL, extra);
		if (r != 0) return r;
	}
	return 0;
}

static CUresult streamCreate(api *a, CUcontext ctx, CUstream *s) {
	enum { STREAM_NON_BLOCKING = 1 };
	ENTER(a, ctx);
	return a->streamCreate(s, STREAM_NON_BLOCKING);
}

static CUresult streamDestroy(api *a, CUcontext ctx, CUstream s) {
	ENTER(a, ctx);
	return a->streamDestroy(s);
}

static CUresult streamSync(api *a, CUcontext ctx, CUstream s) {
	ENTER(a, ctx);
	return a->streamSync(s);
}

static CUresult eventCreate(api *a, CUcontext ctx, CUevent *e) {
	ENTER(a, ctx);
	return a->eventCreate(e, 0);
}

static CUresult eventDestroy(api *a, CUcontext ctx, CUevent e) {
	ENTER(a, ctx);
	return a->eventDestroy(e);
}

static CUresult eventRecord(api *a, CUcontext ctx, CUevent e, CUstream s) {
	ENTER(a, ctx);
	return a->eventRecord(e, s);
}

static CUresult eventSync(api *a, CUcontext ctx, CUevent e) {
	ENTER(a, ctx);
	return a->eventSync(e);
}

static CUresult eventElapsed(api *a, CUcontext ctx, float *ms, CUevent from, CUevent to) {
	ENTER(a, ctx);
	return a->eventElapsed(ms, from, to);
}

// capture makes a graph of n commands; at is as launch has it, -1 where none
// failed. It begins, launches and ends within one call: a capture belongs to a
// thread.
static CUresult capture(api *a, CUcontext ctx, CUstream s, const command *list, int n, char *parameters, int *at, CUgraphExec *exec) {
	enum { STREAM_CAPTURE_MODE_THREAD_LOCAL = 1 };
	CUgraph graph = NULL;
	*at = -1;
	ENTER(a, ctx);
	if (a->captureBegin == NULL || a->captureEnd == NULL || a->graphInstantiate == NULL || a->graphLaunch == NULL || a->graphDestroy == NULL || a->graphExecDestroy == NULL)
		return CUDA_ERROR_NOT_SUPPORTED;
	CUresult r = a->captureBegin(s, STREAM_CAPTURE_MODE_THREAD_LOCAL);
	if (r != 0) return r;
	r = launch(a, ctx, s, list, n, parameters, at);
	CUresult ended = a->captureEnd(s, &graph); // after an error too: it leaves the stream as it was
	if (r == 0) {
		*at = -1;
		r = ended;
	}
	if (r == 0) r = a->graphInstantiate(exec, graph, 0);
	if (graph != NULL) a->graphDestroy(graph);
	return r;
}

static CUresult graphLaunch(api *a, CUcontext ctx, CUgraphExec g, CUstream s) {
	ENTER(a, ctx);
	return a->graphLaunch(g, s);
}

static CUresult graphDestroy(api *a, CUcontext ctx, CUgraphExec g) {
	ENTER(a, ctx);
	return a->graphExecDestroy(g);
}

// tensorMap describes a tiled tensor for the copies of sm_90's tensor memory
// accelerator, in 128 bytes.
static CUresult tensorMap(api *a, CUcontext ctx, char *map, int type, unsigned rank, CUdeviceptr base, const uint64_t *dims, const uint64_t *strides,
	const uint32_t *box, const uint32_t *steps, int interleave, int swizzle, int l2, int fill) {
	_Alignas(64) char aligned[128];
	if (a->tensorMap == NULL) return CUDA_ERROR_NOT_SUPPORTED;
	ENTER(a, ctx);
	CUresult r = a->tensorMap(aligned, type, rank, (void *)(uintptr_t)base, dims, strides, box, steps, interleave, swizzle, l2, fill);
	memcpy(map, aligned, sizeof aligned);
	return r;
}
