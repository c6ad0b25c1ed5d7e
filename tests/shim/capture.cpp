/* capture.cpp: whether the shim refuses during a capture what CUDA refuses, and a graph is what was captured. For tests/backends/test_cuda_graphs.c. */
#include <cuda_runtime.h>

/* What went wrong; NULL = nothing. */
extern "C" const char *zo_shim_forbidden(void);

static bool refuses(int what, cudaStream_t stream, cudaEvent_t event, void *block)
{
    void *other = nullptr;
    cudaGraph_t graph = nullptr;
    cudaError_t status = cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
    if (status != cudaSuccess) {
        return false;
    }
    switch (what) {
    case 0: status = cudaStreamSynchronize(stream); break;
    case 1: status = cudaDeviceSynchronize(); break;
    case 2: status = cudaMalloc(&other, 16); break;
    case 3: status = cudaFree(block); break;
    case 4: status = cudaHostAlloc(&other, 16, cudaHostAllocDefault); break;
    case 5: status = cudaFreeHost(nullptr); break;
    case 6: status = cudaMemset(block, 0, 4); break;
    case 7: status = cudaEventRecord(event, stream); break;
    case 8: status = cudaEventSynchronize(event); break;
    }
    return status == cudaErrorStreamCaptureUnsupported && cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated;
}

const char *zo_shim_forbidden(void)
{
    static const char *const name[] = {"cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaMalloc", "cudaFree", "cudaHostAlloc", "cudaFreeHost",
                                       "cudaMemset", "cudaEventRecord", "cudaEventSynchronize"};
    cudaStream_t stream;
    cudaEvent_t event;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    void *block = nullptr;
    const char *wrong = nullptr;
    float x = 3.0f, y = 0.0f;
    if (cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess || cudaEventCreateWithFlags(&event, cudaEventDefault) != cudaSuccess ||
        cudaMalloc(&block, sizeof x) != cudaSuccess) {
        return "opening a stream";
    }
    for (int i = 0; i < (int)(sizeof name / sizeof *name); i++) {
        wrong = refuses(i, stream, event, block) ? wrong : name[i];
    }
    /* what is captured does not happen, and happens when the graph is launched */
    cudaMemset(block, 0, sizeof x);
    cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
    cudaMemcpyAsync(block, &x, sizeof x, cudaMemcpyHostToDevice, stream);
    cudaStreamEndCapture(stream, &graph);
    cudaGraphInstantiateWithFlags(&exec, graph, 0);
    cudaGraphDestroy(graph);
    for (int launched = 0; launched < 2; launched++) {
        cudaMemcpyAsync(&y, block, sizeof y, cudaMemcpyDeviceToHost, stream);
        cudaStreamSynchronize(stream);
        wrong = y == (launched ? x : 0.0f) ? wrong : "what a capture must keep back";
        cudaGraphLaunch(exec, stream);
    }
    cudaGraphExecDestroy(exec);
    cudaFree(block);
    cudaEventDestroy(event);
    cudaStreamDestroy(stream);
    return wrong;
}
