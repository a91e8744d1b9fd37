# The image for those who have an engine: what hack/build-image.sh packs without one. Give a static binary for each platform, as
# made by `make image` or the release workflow:
#   docker buildx build --build-context binaries=DIR --platform linux/amd64 .      with DIR/amd64/sending-domain-operator
#                                                                                  and DIR/ca-certificates.crt
FROM scratch
ARG TARGETARCH
COPY --from=binaries --chmod=0644 ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=binaries --chmod=0755 ${TARGETARCH}/sending-domain-operator /sending-domain-operator
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
EXPOSE 8080 8081
USER 65532:65532
ENTRYPOINT ["/sending-domain-operator"]
