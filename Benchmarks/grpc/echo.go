//go:build ignore

// SPDX-License-Identifier: Apache-2.0
// A grpc-go server that answers every unary call with its own message: the peer of run.
// Built in GOPATH mode with Debian's golang-google-grpc-dev.
package main

import (
	"context"
	"net"
	"os"

	"google.golang.org/grpc"
)

// bytesCodec hands messages through without decoding them, so that only gRPC itself is measured.
type bytesCodec struct{}

func (bytesCodec) Marshal(value interface{}) ([]byte, error) { return *value.(*[]byte), nil }

func (bytesCodec) Unmarshal(data []byte, value interface{}) error {
	*value.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func (bytesCodec) String() string { return "bytes" }

func echo(_ interface{}, _ context.Context, decode func(interface{}) error, _ grpc.UnaryServerInterceptor) (interface{}, error) {
	message := new([]byte)
	err := decode(message)
	return message, err
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		panic(err)
	}
	server := grpc.NewServer(grpc.CustomCodec(bytesCodec{}))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "inference.GRPCInferenceService",
		Methods:     []grpc.MethodDesc{{MethodName: "ModelInfer", Handler: echo}},
	}, nil)
	if err := server.Serve(listener); err != nil {
		panic(err)
	}
}
